"""The quality of peers: each is a folder of one yaml and one function, trained and scored on the same paragraphs."""

import importlib.util
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import capthemes
from benchmarks.heads import AbsentError
from benchmarks.sheet import sources
from capthemes import annotations
from capthemes.answers import Answers, answerer
from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.errors import InputError
from capthemes.evaluation import decided
from capthemes.metrics import Evaluation, Signature, evaluate
from capthemes.model import Model
from capthemes.outcomes import outcomes
from capthemes.records import Paragraph, Predictions, Probabilities, unit
from capthemes.store import fingerprint_bytes, fingerprint_file, home
from capthemes.text import script
from capthemes.training import cross_fitted

PEERS = Path(__file__).with_name("peers")
RESULTS = Path(__file__).with_name("results") / "quality"
SEED = 0
WARM = 200  # paragraphs that a bundled model reads before it is timed, so that it is loaded and compiled
SEARCH_FOLDS = 5  # settings are chosen on one of so many folds of the training paragraphs
KEPT = ("micro_f1", "macro_f1", "theme_stance_f1", "theme_voice_f1", "stance_macro_f1", "exact", "ece", "brier")
LANGUAGES = {"English": "en", "Chinese": "zh"}

Predict = Callable[[list[str]], Any]


@dataclass(frozen=True, slots=True)
class Peer:
    """What is benchmarked: `fit(training, settings)` gives a function from texts to probabilities or labels, or a Model

    `grid` has the values searched of each setting, `fixed` those that are not; `search_on` caps the paragraphs that
    the search reads; `learns` is whether it is trained, beyond its settings and decision; `version` is the
    fingerprint of its folder.
    """

    name: str
    title: str
    what: str
    fit: Callable[[Sequence[Paragraph], Mapping[str, Any]], Predict | Model]
    grid: Mapping[str, Sequence[Any]]
    fixed: Mapping[str, Any]
    search_on: int | None = None
    learns: bool = True
    version: str = ""

    @classmethod
    def load(cls, folder: Path) -> "Peer":
        folder = folder.resolve()
        told = yaml.safe_load((folder / "peer.yaml").read_text(encoding="utf-8"))
        code = folder / "peer.py"
        spec = importlib.util.spec_from_file_location(f"peer_{folder.name}", code)
        if spec is None or spec.loader is None or not code.is_file():
            raise AbsentError(f"{folder}: no peer.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return cls(
            folder.name,
            told["title"],
            told["what"],
            module.fit,
            told.get("settings", {}),
            told.get("fixed", {}),
            told.get("search_on"),
            told.get("learns", True),
            folder_now(folder),
        )

    def settings(self) -> Iterator[dict[str, Any]]:
        for values in product(*self.grid.values()):
            yield {**dict(zip(self.grid, values, strict=True)), **self.fixed}


@dataclass(frozen=True, slots=True)
class Data:
    """The paragraphs that all train on, those that decisions are fitted on, and those that are scored."""

    training: list[Paragraph]
    dev: list[Paragraph]
    scored: dict[str, list[Paragraph]]

    @classmethod
    def gather(cls, real: Path) -> "Data":
        """With the labelled `dev.jsonl` of the folder where it has one."""
        split = {name: annotations.hydrate(sources(real), split=name).paragraphs for name in annotations.SPLITS}
        written = {name: annotations.paragraphs("written", name) for name in annotations.SPLITS}
        return cls(
            [*split["train"], *written["train"]],
            [*split["dev"], *written["dev"]],
            {
                **({"real/dev": annotations.paragraphs(dev)} if (dev := real / "dev.jsonl").is_file() else {}),
                "references/test": split["test"],
                "written/test": written["test"],
            },
        )


def measure(real: Path, only: Sequence[str], extra: Sequence[Path], nli: str | None) -> None:
    """Measure the peers named, or all, and keep a JSON of each; one that cannot be run here is told of and skipped."""
    folders = chosen(only, extra)
    data = Data.gather(real)
    for folder in folders:
        try:
            peer = Peer.load(folder)
            if peer.name == "nli":
                peer = replace(peer, fixed={**peer.fixed, "encoder": nli})
            result = measured(peer, data)
        except (AbsentError, ImportError) as error:
            print(f"{folder.name}: skipped, {error}", flush=True)
            continue
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{peer.name}.json").write_text(json.dumps(result, separators=(",", ":")) + "\n", encoding="utf-8")
        f1 = {name: round(found["micro_f1"]["value"], 3) for name, found in result["scores"].items()}
        print(f"{peer.name}: {json.dumps(f1)}", flush=True)


def chosen(only: Sequence[str], extra: Sequence[Path]) -> list[Path]:
    """The folders of the peers of benchmarks/peers named in `only`, and of those that stand elsewhere; else all.

    Raises InputError for a name that none bears, and a folder that holds none.
    """
    here = {path.parent.name: path.parent for path in sorted(PEERS.glob("*/peer.yaml"))}
    elsewhere = {folder.resolve().name: folder.resolve() for folder in extra}
    if wrong := next((folder for folder in elsewhere.values() if not (folder / "peer.yaml").is_file()), None):
        raise InputError(f"{wrong}: no peer.yaml; a peer is a folder with peer.yaml and peer.py")
    known = here | elsewhere
    if unknown := sorted(set(only) - known.keys()):
        raise InputError(f"no peer {unknown[0]!r}; there are: {', '.join(known)}; --peer FOLDER brings another")
    return [known[name] for name in (dict.fromkeys([*only, *elsewhere]) or here)]


def folder_now(folder: Path) -> str:
    """A fingerprint of the files of a peer's folder, by which results of another version of it are told."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file()]
    return fingerprint_bytes(json.dumps([[path.name, fingerprint_file(path)] for path in files]).encode())[:12]


def measured(peer: Peer, data: Data) -> dict[str, Any]:
    """Search the settings, train on all with the best, fit the decision on dev, and score."""
    searched = _searched(peer, data.training)
    chosen = max(searched, key=lambda row: row["micro_f1"])["settings"] if searched else dict(peer.fixed)
    began = time.perf_counter()
    fitted = peer.fit(data.training, chosen)
    ask, trained = _decided(peer, fitted, data.dev), time.perf_counter() - began
    result: dict[str, Any] = {
        "title": peer.title,
        "what": peer.what,
        "data": data_now(),
        "rest": rest_now(),
        "peer": peer.version,
        "settings": chosen,
        "searched": searched,
        "search_on": peer.search_on,
        "trained_on": len(data.training) if peer.learns else 0,
        "seconds": round(trained, 1),
        "cores": os.cpu_count(),
    }
    if isinstance(fitted, Model):
        result["model"] = fitted.id
        result["trained_on"] = sum(part["paragraphs"] for part in fitted.about["trained_on"])
    id = result.get("model", f"{peer.name}@{peer.version}")
    details, spent = {}, 0.0
    for name, gold in data.scored.items():
        began = time.process_time()  # of all threads: what else the machine does counts little
        answers = ask(gold)
        spent += time.process_time() - began
        for subset, rows in _subsets(name, gold).items():
            part = [gold[row] for row in rows]
            said = None if answers.probabilities is None else answers.probabilities[np.array(rows)]
            found = decided(part, [answers.labels[row] for row in rows])
            signature = _signature(subset, part, id)
            scores = evaluate(part, said, found, SEED, Codebook.load().names)
            details[subset] = {**_details(part, found, scores), "signature": str(signature)}
    result["per_core_second"] = round(sum(map(len, data.scored.values())) / spent, 1)
    return {**result, **{key: {name: d[key] for name, d in details.items()} for key in next(iter(details.values()))}}


def data_now() -> str:
    """A fingerprint of the labels that the benchmark rests on, by which results of earlier ones are told."""
    rows = [
        f"{p['id']} {sorted((x['theme'], str(x['stance']), str(x['voice'])) for x in p['labels'])}"
        for name in ("written", "references")
        for split in annotations.SPLITS
        for p in _rows(name, split)
    ]
    return fingerprint_bytes("\n".join(rows).encode())[:12]


def rest_now() -> str:
    """A fingerprint of what else peers are made of: the codebook, the written texts, and the code that they share."""
    shared = [Path(__file__).with_name(name) for name in ("heads.py", "minilm.py")]
    files = [*shared, Path(capthemes.__file__).with_name("codebook.md")]
    texts = [p["text"] for split in annotations.SPLITS for p in _rows("written", split)]
    return fingerprint_bytes(json.dumps([[fingerprint_file(path) for path in files], texts]).encode())[:12]


def _signature(data: str, gold: Sequence[Paragraph], model: str) -> Signature:
    return Signature(data, annotations.fingerprint(gold), model, Codebook.load().version, SEED, capthemes.__version__)


def _rows(name: str, split: str) -> Iterator[dict[str, Any]]:
    with (home("annotations") / name / f"{split}.jsonl").open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _searched(peer: Peer, training: Sequence[Paragraph]) -> list[dict[str, Any]]:
    """Every setting, trained on four folds and scored on the fifth; nothing where there is no choice."""
    settings = list(peer.settings())
    if len(settings) < 2:
        return []
    rows, held_out = annotations.folds(training, SEARCH_FOLDS, SEED)[0]
    if peer.search_on:
        rng = np.random.default_rng(SEED)
        rows, held_out = (rng.permutation(r)[:size] for r, size in ((rows, peer.search_on), (held_out, 500)))
    ours, gold = [training[row] for row in rows], [training[row] for row in held_out]
    found = []
    for setting in settings:
        scores = _unseen(peer, peer.fit(ours, setting), gold)
        found.append({"settings": setting, "micro_f1": round(scores.micro_f1.value, 4)})
        print(f"  {peer.name} {json.dumps(found[-1])}", flush=True)
    return found


def _unseen(peer: Peer, fitted: Predict | Model, gold: Sequence[Paragraph]) -> Evaluation:
    """Scores on paragraphs that nothing was fitted on; probabilities are decided fold by fold."""
    said = None if isinstance(fitted, Model) else _said(peer, fitted, gold)
    if isinstance(said, Probabilities):
        return cross_fitted(said, gold, SEED)
    found = decided(gold, answerer(fitted, name=peer.name).ask(gold).labels)
    return evaluate(gold, None, found, SEED, Codebook.load().names)


def _decided(peer: Peer, fitted: Predict | Model, dev: Sequence[Paragraph]) -> Callable[[Sequence[Paragraph]], Answers]:
    """Who is asked: a Model decides by itself, labels are taken as they are, probabilities get a decision."""
    if isinstance(fitted, Model):
        fitted.predict([p.text for p in dev[:WARM]])
        return answerer(fitted).ask
    sample = _said(peer, fitted, dev)
    if not isinstance(sample, Probabilities):
        return answerer(fitted, name=peer.name).ask
    decision = Decision.fit(sample, dev)

    def ask(gold: Sequence[Paragraph]) -> Answers:
        found = Predictions(_said(peer, fitted, gold), decision)
        return Answers(peer.name, list(found), found.probabilities)

    return ask


def _said(peer: Peer, fitted: Predict, gold: Sequence[Paragraph]) -> Any:
    answer = fitted([p.text for p in gold])
    if len(answer) != len(gold):
        raise InputError(f"{peer.name} answers {len(answer)} for {len(gold)} texts; it must give one for each")
    return answer


def _subsets(name: str, gold: Sequence[Paragraph]) -> dict[str, list[int]]:
    by_language = {
        f"{name}, {language}": [row for row, p in enumerate(gold) if script(p.text) == lang]
        for language, lang in LANGUAGES.items()
    }
    return {name: list(range(len(gold))), **by_language}


def _details(gold: Sequence[Paragraph], found: Sequence[Paragraph], scores: Evaluation) -> dict[str, Any]:
    """What tables and pictures need, and counts by document, for differences; no text and no paragraph's labels."""
    counts = outcomes(gold, found, Codebook.load().names).themes.sum(axis=1).astype(int)
    by_document: dict[str, list[int]] = {}
    for paragraph, row in zip(gold, counts.tolist(), strict=True):
        have = by_document.setdefault(unit(paragraph), [0, 0, 0])
        by_document[unit(paragraph)] = [a + b for a, b in zip(have, row, strict=True)]
    return {
        "scores": {part: _rounded(getattr(scores, part)) for part in KEPT},
        "themes": {theme: [s.support, _rounded(s.f1)] for theme, s in scores.themes.items()},
        "reliability": [[n, round(p, 4), round(share, 4)] for n, p, share in scores.reliability],
        "stances": scores.confusions["stance"],
        "counts": [by_document[name] for name in sorted(by_document)],
    }


def _rounded(score: Any) -> dict[str, float] | None:
    return None if score is None else {key: round(value, 4) for key, value in asdict(score).items()}
