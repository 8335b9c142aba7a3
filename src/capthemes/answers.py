"""Answers: what anyone says of paragraphs - a model, a function, an estimator, a file of predictions."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from capthemes.annotations import read_label
from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.errors import AnnotationError, InputError, ModelError
from capthemes.manifest import MANIFEST
from capthemes.model import Model, load, names
from capthemes.records import Label, Paragraph, Predictions, Probabilities
from capthemes.store import fingerprint_file

Predict = Callable[[list[str]], Any]  # texts to labels, in any form that `labels_of` reads


@dataclass(frozen=True, slots=True)
class Answers:
    """What `name` says of n paragraphs: the labels of each, and the probabilities behind them where there are any."""

    name: str
    labels: Sequence[tuple[Label, ...]]
    probabilities: Probabilities | None = None


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who can be asked about paragraphs, by a codebook: `ask` gives one answer for each paragraph."""

    name: str
    codebook: Codebook
    ask: Callable[[Sequence[Paragraph]], Answers]


def answerer(who: Any, codebook: Codebook | None = None, name: str | None = None, trusted: Any = ()) -> Answerer:
    """Anyone that can be scored, as an Answerer.

    `who` is a Model, a function from texts to labels, a fitted scikit-learn estimator, whose columns are the themes
    in the codebook's order unless its `themes_` or `classes_` name them, or a string: a bundled model's name, a
    model's folder, "module:function", a jsonl file of predictions, or a model of `transformers` by its folder, or by
    its Hub name after "hf:". `codebook` is for those that have none of their own; `trusted` names types that a saved
    pipeline may load. Raises ModelError or InputError, naming what was given.
    """
    book = codebook or Codebook.load()
    if isinstance(who, str | Path):
        return _named(str(who), book, trusted)
    if isinstance(who, Model):
        return _of_model(who, name)
    if hasattr(who, "predict_proba") or hasattr(who, "decision_function"):
        from capthemes.families.pipeline import Pipeline

        family: Any = Pipeline(book, who)
        own = Model(type(who).__name__, "pipeline", family, Decision.plain(book.names), book)
        return _of_model(own, name or own.name)
    if callable(who):
        return _of_function(who, name or str(getattr(who, "__qualname__", type(who).__name__)), book)
    if callable(getattr(who, "predict", None)):
        return _of_function(_of_predict(who, book), name or type(who).__name__, book)
    raise InputError(f"{who!r:.80} cannot be asked: give a model, a function from texts to labels, or a file's name")


def labels_of(answer: Any, codebook: Codebook, where: str) -> tuple[Label, ...]:
    """The labels of one paragraph: of Labels, objects with theme, stance and voice, or names of themes.

    Raises AnnotationError with `where` for what is none of these, is not the codebook's, or stands twice.
    """
    if isinstance(answer, str | Mapping) or not isinstance(answer, Iterable):
        raise AnnotationError(f"{where}: {answer!r:.80} is no list of labels; give one for each text, [] for none")
    found = []
    for item in answer:
        if isinstance(item, Label):
            item = {"theme": item.theme, "stance": item.stance, "voice": item.voice}
        found.append(read_label({"theme": item} if isinstance(item, str) else item, codebook, where))
    if len({label.theme for label in found}) < len(found):
        raise AnnotationError(f"{where}: a theme stands twice among the labels; keep one")
    return tuple(found)


def _named(who: str, codebook: Codebook, trusted: Any) -> Answerer:
    path = Path(who)
    if who.startswith("hf:") or (path.is_dir() and not (path / MANIFEST).exists() and (path / "config.json").exists()):
        return _of_hub(who.removeprefix("hf:"), codebook)
    if path.suffix == ".jsonl":
        return Answerer(path.name, codebook, lambda gold: read_predictions(path, gold, codebook))
    if ":" in who and who not in names() and not path.exists():
        return _of_function(_imported(who), who, codebook)
    model = load(who, trusted=trusted) if trusted else load(who)
    return _of_model(model)


def _of_model(model: Model, name: str | None = None) -> Answerer:
    def ask(gold: Sequence[Paragraph]) -> Answers:
        return _answers(name or model.id, model.predict([p.text for p in gold]))

    return Answerer(name or model.id, model.codebook, ask)


def _of_hub(name: str, codebook: Codebook) -> Answerer:
    from capthemes.hub import hub_family

    family = hub_family(name, codebook)
    decision = Decision.plain(codebook.names)

    def ask(gold: Sequence[Paragraph]) -> Answers:
        return _answers(f"hf:{name}", Predictions(family.predict_proba([p.text for p in gold]), decision))

    return Answerer(f"hf:{name}", codebook, ask)


def _of_function(predict: Predict, name: str, codebook: Codebook) -> Answerer:
    def ask(gold: Sequence[Paragraph]) -> Answers:
        answer = predict([p.text for p in gold])
        if isinstance(answer, Probabilities) and len(answer) == len(gold):
            answer = Predictions(answer, Decision.plain(answer.themes))
        if isinstance(answer, Predictions):
            return _answers(name, answer)
        if not isinstance(answer, Sequence) or len(answer) != len(gold):
            got = len(answer) if isinstance(answer, Sequence | Probabilities) else f"a {type(answer).__name__}"
            raise InputError(f"{name} answers {got} for {len(gold)} texts; it must give a list with labels for each")
        return Answers(name, [labels_of(a, codebook, f"{name}, text {i}") for i, a in enumerate(answer)])

    return Answerer(name, codebook, ask)


def _of_predict(who: Any, codebook: Codebook) -> Predict:
    """The function of an estimator without probabilities: an indicator matrix, or a class a text, as themes' names."""
    from capthemes.families.pipeline import themes_of

    columns = themes_of(who, codebook) or list(codebook.names)

    def predict(texts: list[str]) -> Any:
        answer = who.predict(texts)
        answer = answer.toarray() if hasattr(answer, "toarray") else answer
        if not isinstance(answer, np.ndarray):
            return answer
        if answer.ndim == 1 and answer.dtype.kind in "OU":
            told = [[str(name)] for name in answer]
        elif answer.size == len(texts) * len(columns):
            told = [[columns[t] for t in np.flatnonzero(row)] for row in answer.reshape(len(texts), -1)]
        else:
            raise InputError(f"predict answers {answer.shape} for {len(texts)} texts and {len(columns)} themes")
        return [[name for name in row if name in codebook.names] for row in told]

    return predict


def _answers(name: str, found: Predictions) -> Answers:
    return Answers(name, list(found), found.probabilities)


def _imported(name: str) -> Predict:
    module, _, attribute = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"no function {name!r} ({error}); write module:function, with the module here") from error
    if not callable(found):
        raise ModelError(f"{name!r} is a {type(found).__name__}; name a function from a list of texts to their labels")
    function: Predict = found
    return function


def read_predictions(path: Path, gold: Sequence[Paragraph], codebook: Codebook) -> Answers:
    """Predictions made elsewhere: a jsonl of "id" and "labels", and "probabilities" (theme to number) if all have them.

    Raises InputError for a file that is not of that form, and where a paragraph has no row.
    """
    labels: dict[str, tuple[Label, ...]] = {}
    chances: dict[str, list[float]] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            row = _row(line, where)
            id = str(row["id"])
            if id in labels:
                raise InputError(f"{where}: id {id!r} stands twice; keep one")
            labels[id] = labels_of(row["labels"], codebook, where)
            if "probabilities" in row:
                chances[id] = _chances(row["probabilities"], codebook, where)
    missing = [p.id for p in gold if p.id not in labels]
    if missing:
        raise InputError(f"{path}: no row for {len(missing)} of {len(gold)} paragraphs, as {missing[0]!r}; add them")
    name = f"{path.stem}@{fingerprint_file(path)[:12]}"
    probabilities = None
    if all(p.id in chances for p in gold):
        theme = np.array([chances[p.id] for p in gold]).reshape(len(gold), len(codebook.names))
        probabilities = Probabilities(codebook.names, (), (), theme)
    return Answers(name, [labels[p.id] for p in gold], probabilities)


def _row(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8 at byte {error.start} of the line; save the file as UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error}); mend or remove the line") from None
    if not isinstance(row, dict) or "id" not in row or "labels" not in row:
        raise InputError(f'{where}: a prediction needs an \'id\' and \'labels\', as {{"id": "en-1", "labels": []}}')
    return row


def _chances(told: Any, codebook: Codebook, where: str) -> list[float]:
    try:
        values = [float(told[theme]) for theme in codebook.names]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where}: 'probabilities' lack a number for theme {error}; give all themes or none") from None
    if not all(0 <= value <= 1 for value in values):
        raise InputError(f"{where}: a probability must be from 0 to 1")
    return values
