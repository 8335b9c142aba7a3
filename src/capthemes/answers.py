"""Answers: what anyone says of paragraphs - a model, a function, an estimator, a file of predictions."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from capthemes.records import Array, Label, Paragraph, Predictions, Probabilities
from capthemes.store import fingerprint_file
from capthemes.text import sound

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

    `who` is a Model, a function from texts to labels, a fitted scikit-learn estimator, whose labels are those of its
    predict, and whose columns are the themes in the codebook's order unless its `themes_` or `classes_` name them, or
    a string: a bundled model's name, a model's folder, "module:function", a jsonl file of predictions, or a model of
    `transformers` by its folder, or by its Hub name after "hf:". `codebook` is for those that have none of their own;
    `trusted` names types that a saved pipeline may load. Raises ModelError or InputError, naming what was given.
    """
    book = codebook or Codebook.load()
    if isinstance(who, str | Path):
        return _named(str(who), book, trusted)
    if isinstance(who, Model):
        return _of_model(who, name)
    if hasattr(who, "predict_proba") or hasattr(who, "decision_function"):
        return _of_estimator(who, name or type(who).__name__, book)
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
    from capthemes.hub import Classifier, hub_family

    family = hub_family(name, codebook)
    decision = Decision.plain(codebook.names)

    def ask(gold: Sequence[Paragraph]) -> Answers:
        texts = [p.text for p in gold]
        if isinstance(family, Classifier) and family.one_each:
            said, chosen = family.predict_one(texts)
            return Answers(f"hf:{name}", [labels_of(told, codebook, name) for told in chosen], said)
        return _answers(f"hf:{name}", Predictions(family.predict_proba(texts), decision))

    return Answerer(f"hf:{name}", codebook, ask)


def _of_estimator(who: Any, name: str, codebook: Codebook) -> Answerer:
    """An estimator's own labels, where it has predict, and the probabilities that it gives beside them."""
    from capthemes.families.pipeline import Pipeline

    family = Pipeline(codebook, who)
    predict = _of_predict(who, codebook) if callable(getattr(who, "predict", None)) else None

    def ask(gold: Sequence[Paragraph]) -> Answers:
        texts = [sound(p.text) for p in gold]
        said = _spread(family.predict_proba(texts), len(gold), name, codebook)
        if predict is None:
            return _answers(name, Predictions(said, Decision.plain(codebook.names)))
        return Answers(name, _read(predict(texts), gold, name, codebook), said)

    return Answerer(name, codebook, ask)


def _of_function(predict: Predict, name: str, codebook: Codebook) -> Answerer:
    def ask(gold: Sequence[Paragraph]) -> Answers:
        answer = predict([p.text for p in gold])
        if isinstance(answer, Probabilities):
            said = _spread(answer, len(gold), name, codebook)
            return _answers(name, Predictions(said, Decision.plain(codebook.names)))
        behind = answer.probabilities if isinstance(answer, Predictions) else None
        told = _read(answer, gold, name, codebook)
        return Answers(name, told, None if behind is None else _spread(behind, len(gold), name, codebook))

    return Answerer(name, codebook, ask)


def _read(answer: Any, gold: Sequence[Paragraph], name: str, codebook: Codebook) -> list[tuple[Label, ...]]:
    """The labels of an answer to the texts of `gold`. Raises InputError where there is not one for each."""
    if not isinstance(answer, Sequence) or len(answer) != len(gold):
        got = len(answer) if isinstance(answer, Sequence) else f"a {type(answer).__name__}"
        raise InputError(f"{name} answers {got} for {len(gold)} texts; it must give a list with labels for each")
    return [labels_of(a, codebook, f"{name}, text {i}") for i, a in enumerate(answer)]


def _spread(said: Probabilities, count: int, name: str, codebook: Codebook) -> Probabilities:
    """Probabilities of `count` texts over all themes of the codebook, in its order: 0 for those that `said` leaves out.

    Raises InputError for another number of texts, for themes, stances or voices that are not the codebook's, and for
    what is no probability.
    """
    if len(said) != count:
        raise InputError(f"{name} answers {len(said)} for {count} texts; it must give probabilities for each")
    places = [codebook.names.index(theme) for theme in said.themes if theme in codebook.names]
    if len(set(places)) < len(said.themes) or said.theme.shape != (count, len(said.themes)):
        told = f"{said.theme.shape} for the themes {', '.join(said.themes)}"
        raise InputError(f"{name} answers {told}; each must be a theme of: {', '.join(codebook.names)}")
    for part, values, known in (
        ("stance", said.stances, codebook.stances),
        ("voice", said.voices, codebook.voices),
    ):
        if getattr(said, part) is not None and set(values) != set(known):
            raise InputError(f"{name} answers with {part}s {', '.join(values)}; the codebook has: {', '.join(known)}")
    if not ((said.theme >= 0) & (said.theme <= 1)).all():
        raise InputError(f"{name} answers with probabilities that are not from 0 to 1")
    if said.themes == codebook.names:
        return said

    def placed(values: Array | None, empty: float) -> Array | None:
        if values is None:
            return None
        found = np.full((count, len(codebook.names), *values.shape[2:]), empty)
        found[:, places] = values
        return found

    theme = np.zeros((count, len(codebook.names)))
    theme[:, places] = said.theme
    return replace(
        said, themes=codebook.names, theme=theme, stance=placed(said.stance, np.nan), voice=placed(said.voice, np.nan)
    )


def _of_predict(who: Any, codebook: Codebook) -> Predict:
    """An estimator's predict as a function: its indicator matrix, or a class a text, as themes' names."""
    from capthemes.families.pipeline import themes_of

    columns = themes_of(who, codebook) or list(codebook.names)
    classes = list(getattr(who, "classes_", ()))

    def predict(texts: list[str]) -> Any:
        answer = who.predict(texts)
        answer = answer.toarray() if hasattr(answer, "toarray") else answer
        if not isinstance(answer, np.ndarray):
            return answer
        if answer.ndim == 1 and answer.dtype.kind in "OU":
            told = [[str(name)] for name in answer]
        elif answer.ndim == 1 and len(classes) == len(columns) > 1 and set(answer.tolist()) <= set(classes):
            told = [[columns[classes.index(one)]] for one in answer]
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
    except Exception as error:  # a module of the user's own fails in its own ways
        raise ModelError(f"{name!r}: the module fails ({type(error).__name__}: {error}); mend it") from error
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
        row = json.loads(line.decode("utf-8-sig"))
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
