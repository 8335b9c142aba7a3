"""The ablation: what each way of reading text adds to a plain linear model, on paragraphs it was not trained on."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from scipy.sparse import csr_matrix, hstack

from benchmarks.grams import spelled
from benchmarks.sheet import filled, sources
from capthemes import annotations
from capthemes.codebook import Codebook
from capthemes.families.keywords import Keywords
from capthemes.families.tokens import segmented
from capthemes.metrics import Evaluation
from capthemes.records import Array, Paragraph, Probabilities, label_indices, theme_matrix
from capthemes.text import normalise, script
from capthemes.training import cross_fitted

ROOT = Path(__file__).parents[1]
SHEET = ROOT / "benchmarks" / "README.md"
RESULTS = ROOT / "benchmarks" / "results" / "ablation.json"
ENCODER_RESULTS = RESULTS.with_name("ablation-encoder.json")
ENSEMBLE_RESULTS = RESULTS.with_name("ablation-ensemble.json")
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0)
SEED = 0
PARAGRAPHS = 1500
LANGUAGES = {"en": "references/dev, English", "zh": "references/dev, Chinese"}

Features = Callable[[Sequence[str]], Any]  # texts to a sparse matrix


def run(real: Path) -> None:
    """Train every variant on the training splits; score it on the development splits and, to confirm, on real/dev."""
    published = annotations.hydrate(sources(real), split="train").paragraphs
    written = annotations.paragraphs("written", "train")
    held_out = {
        "references/dev": annotations.hydrate(sources(real), split="dev").paragraphs,
        "written/dev": annotations.paragraphs("written", "dev"),
        "real/dev": annotations.paragraphs(real / "dev.jsonl"),
    }
    results = []
    for name, variant in variants(published, written).items():
        fitted = variant()
        row = {"variant": name}
        for data, gold in held_out.items():
            row[data] = _scores(cross_fitted(fitted([p.text for p in gold]), gold, SEED))
        results.append(row)
        print(json.dumps(row), flush=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8")), encoding="utf-8")


def variants(published: Sequence[Paragraph], written: Sequence[Paragraph]) -> dict[str, Callable[[], Any]]:
    """Name -> a fit, which gives a function from texts to probabilities."""
    both = [*published, *written]
    heavier = np.repeat([2.0, 1.0], [len(published), len(written)])
    return {
        "n-grams, published paragraphs only": lambda: fit(published, grams),
        "n-grams, written paragraphs only": lambda: fit(written, grams),
        "n-grams, both": lambda: fit(both, grams),
        "both, published ones twice the weight": lambda: fit(both, grams, heavier),
        "both, written ones weighted by how published they look": lambda: fit(both, grams, _likeness(published, both)),
        "both, regularised more (C = 3)": lambda: fit(both, grams, C=3),
        "both, regularised less (C = 30)": lambda: fit(both, grams, C=30),
        "both + codebook's phrases as features": lambda: fit(both, lambda t: _beside(grams(t), phrases(t))),
        "both + English glosses of Chinese words": lambda: fit(both, lambda t: _beside(grams(t), glosses(t))),
        "both + mean token vector of the encoder": lambda: fit(both, lambda t: _beside(grams(t), vectors(t))),
        "both + glosses + token vectors": lambda: fit(both, lambda t: _beside(grams(t), glosses(t), vectors(t))),
    }


def run_encoder(real: Path) -> None:
    """The transformer family's parts, one by one, at a small budget: PARAGRAPHS published ones, two epochs."""
    from capthemes.families import encoder
    from capthemes.families.transformer import Transformer

    published = annotations.hydrate(sources(real), split="train").paragraphs
    rows = np.random.default_rng(SEED).permutation(len(published))[:PARAGRAPHS]
    training = [published[row] for row in rows]
    dev = annotations.hydrate(sources(real), split="dev").paragraphs
    held_out = {name: [p for p in dev if script(p.text) == lang] for lang, name in LANGUAGES.items()}
    words = annotations.glossary()
    shuffled = dict(zip(words, np.random.default_rng(SEED).permutation(list(words.values())).tolist(), strict=True))

    class Averaging(encoder.Network):
        """Every theme reads the mean of the tokens."""

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.gaze.requires_grad_(False)

    changes: dict[str, dict[str, Any]] = {
        "as shipped": {},
        "the mean of the tokens in place of gazes": {"Network": Averaging},
        "Chinese words begin at another word's gloss": {"glossary": lambda: shuffled},
        "no Chinese words, the encoder's own ideographs": {"glossary": dict},
    }
    results = []
    for name, changed in changes.items():
        with mock.patch.multiple(encoder, EPOCHS=2, **changed):
            family = Transformer.fit(training, Codebook.load(), SEED)
        row: dict[str, Any] = {"variant": name}
        for data, gold in held_out.items():
            row[data] = _scores(cross_fitted(family.predict_proba([p.text for p in gold]), gold, SEED))
        results.append(row)
        print(json.dumps(row), flush=True)
    ENCODER_RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8")), encoding="utf-8")


def run_ensemble(real: Path) -> None:
    """The two members of `accurate`, alone and together: log-odds averaged at several shares of the n-grams."""
    from capthemes import load
    from capthemes.families import ensemble

    dev = annotations.hydrate(sources(real), split="dev").paragraphs
    held_out = {name: [p for p in dev if script(p.text) == lang] for lang, name in LANGUAGES.items()}
    held_out |= {"written/dev": annotations.paragraphs("written", "dev")}
    held_out |= {"real/dev": annotations.paragraphs(real / "dev.jsonl")}
    both: Any = load("accurate").family
    texts = {data: [p.text for p in gold] for data, gold in held_out.items()}
    said = {data: [family.predict_proba(texts[data]) for family in (both.transformer, both.linear)] for data in texts}
    results = []
    for share in SHARES:
        with mock.patch.object(ensemble, "SHARE", share):
            averaged = {data: ensemble.averaged(*said[data]) for data in said}
        row: dict[str, Any] = {"variant": f"{share:.0%} of the n-grams"}
        for data, gold in held_out.items():
            row[data] = _scores(cross_fitted(averaged[data], gold, SEED))
        results.append(row)
    ENSEMBLE_RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8")), encoding="utf-8")


def fit(training: Sequence[Paragraph], features: Features, weight: Array | None = None, C: float = 10) -> Any:
    """Logistic regressions on these features, TF-IDF weighted: one a theme, one for stance, one for voice."""
    from joblib import Parallel, delayed
    from sklearn.feature_extraction.text import TfidfTransformer

    book = Codebook.load()
    tfidf = TfidfTransformer(sublinear_tf=True)
    weight = np.ones(len(training)) if weight is None else weight
    counts = features([p.text for p in training])
    kept = np.flatnonzero(np.asarray((counts[:, : grams.width] > 0).sum(axis=0)).ravel() >= 2)

    def matrix(found: Any, fitting: bool) -> Any:
        sparse, dense = found[:, kept], found[:, grams.width :]
        return hstack([(tfidf.fit_transform if fitting else tfidf.transform)(sparse), dense]).tocsr()

    X = matrix(counts, True)
    truth = theme_matrix(training, book.names)
    themes = Parallel(n_jobs=2)(delayed(_regression)(X, y, weight, C) for y in truth.T)
    given = {}
    for part, values in (("stance", tuple(book.stances)), ("voice", tuple(book.voices))):
        rows, own, y = label_indices(training, book.names, values, part)
        given[part] = _regression(_with_own(X[rows], own, len(book.names)), y, weight[rows], C)

    def predict(texts: Sequence[str]) -> Probabilities:
        Z = matrix(features(texts), False)
        theme = np.stack([model.predict_proba(Z)[:, 1] for model in themes], axis=1)
        T = len(book.names)
        stance, voice = (
            np.stack([model.predict_proba(_with_own(Z, np.full(Z.shape[0], t), T)) for t in range(T)], axis=1)
            for model in (given["stance"], given["voice"])
        )
        return Probabilities(book.names, tuple(book.stances), tuple(book.voices), theme, stance, voice)

    return predict


class Grams:
    """Counts of the linear family's n-grams, hashed so that every variant shares one width."""

    width = 1 << 20

    def __call__(self, texts: Sequence[str]) -> Any:
        from sklearn.feature_extraction.text import HashingVectorizer

        hashing = HashingVectorizer(analyzer=spelled, n_features=self.width, norm=None, alternate_sign=False)
        return hashing.transform(texts).tocsr()


grams = Grams()


def phrases(texts: Sequence[str]) -> Any:
    """How surely the codebook's own phrases speak for each theme."""
    return csr_matrix(Keywords(Codebook.load()).predict_proba(texts).theme)


def glosses(texts: Sequence[str]) -> Any:
    """The English words that Chinese words are glossed with, and those of English texts, hashed; of half length."""
    from sklearn.feature_extraction.text import HashingVectorizer

    def english(text: str) -> Iterator[str]:
        glossary = _glossary()
        if script(text) == "zh":
            for word in segmented(normalise(text), frozenset(glossary)).split():
                yield from glossary.get(word, "").replace("/", " ").split()
        else:
            yield from (gram for gram in spelled(text) if " " not in gram)

    return HashingVectorizer(analyzer=english, n_features=1 << 16, alternate_sign=False).transform(texts).tocsr() * 0.5


def vectors(texts: Sequence[str]) -> Any:
    """The mean of a text's token vectors in the default encoder's input layer, Chinese words by their glosses."""
    tokens, table, idf = _table()
    windows, owners = tokens.windows(texts)
    found = np.zeros((len(texts), table.shape[1]))
    for window, owner in zip(windows, owners, strict=True):
        found[owner] += (table[window] * idf[window, None]).sum(axis=0)
    return csr_matrix(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9))


@cache
def _glossary() -> dict[str, str]:
    return annotations.glossary()


@cache
def _table() -> tuple[Any, Array, Array]:
    from capthemes.families.encoder import _pretrained, _with_chinese
    from capthemes.families.tokens import Tokens

    serialised, body = _with_chinese(*_pretrained(None))
    table = body.get_input_embeddings().weight.detach().numpy().astype(np.float64)
    tokens = Tokens(serialised)
    windows, _ = tokens.windows([p.text for p in annotations.paragraphs("written", "train")])
    found = np.zeros(len(table))
    for window in windows:
        found[list(set(window))] += 1
    return tokens, table - table.mean(axis=0), np.log((1 + len(windows)) / (1 + found))


def _likeness(published: Sequence[Paragraph], both: Sequence[Paragraph]) -> Array:
    """Weights: 1 for published paragraphs; for written ones from 0.3, by how published they look among them."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    X = grams([p.text for p in both])
    side = np.arange(len(both)) < len(published)
    p = cross_val_predict(LogisticRegression(C=1, max_iter=300), X, side, method="predict_proba")[:, 1]
    weight = np.ones(len(both))
    ranks = np.argsort(np.argsort(p[~side])) / max((~side).sum(), 1)
    weight[~side] = 0.3 + 0.7 * ranks
    return weight


def _regression(X: Any, y: np.ndarray, weight: Array, C: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, class_weight="balanced", max_iter=1000).fit(X, y, sample_weight=weight)


def _with_own(X: Any, themes: np.ndarray, T: int) -> Any:
    own = csr_matrix((np.ones(len(themes)), (np.arange(len(themes)), themes)), shape=(len(themes), T))
    return hstack([X, own]).tocsr()


def _beside(*parts: Any) -> Any:
    return hstack(parts).tocsr()


def _scores(found: Evaluation) -> dict[str, float]:
    parts = {"micro": found.micro_f1, "macro": found.macro_f1, "stance": found.stance_macro_f1}
    return {name: round(score.value, 4) if score else 0.0 for name, score in parts.items()}


def rendered(sheet: str) -> str:
    """The sheet with the tables of what has been measured."""
    kept = (path for path in (RESULTS, ENCODER_RESULTS, ENSEMBLE_RESULTS) if path.exists())
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in kept}
    return filled(sheet, {name: lines(results) for name, results in found.items()})


def lines(results: Sequence[dict[str, Any]]) -> list[str]:
    """The table: theme micro-F1, macro-F1 and stance macro-F1 on each held-out set."""
    sets = [key for key in results[0] if key != "variant"]
    rows = [f"| variant | {' | '.join(sets)} |", "|---" * (len(sets) + 1) + "|"]
    for row in results:
        cells = " | ".join("{micro:.3f} / {macro:.3f} / {stance:.3f}".format(**row[name]) for name in sets)
        rows.append(f"| {row['variant']} | {cells} |")
    return rows
