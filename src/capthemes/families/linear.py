"""The linear family: n-grams weighted by TF-IDF, and one matrix of logistic regressions for themes, stance and voice.

Words of Latin script enter as 1- and 2-grams, ideographs as 1- to 3-grams of characters, so one featuriser
reads English, Chinese and a mixture. Stance and voice are read by regressions that the themes share, with
a bias of each theme's own.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np

from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, ModelError
from capthemes.manifest import ENDINGS
from capthemes.records import Array, Paragraph, Probabilities, label_indices, softmax, theme_matrix
from capthemes.text import HAN, normalise
from capthemes.untrusted import read_json, read_tensors

RUNS = re.compile(rf"[{HAN}]+|[^\W_{HAN}]+(?:['’-][^\W_{HAN}]+)*")
IDEOGRAPH = re.compile(f"[{HAN}]")
SMOOTHING = 0.5  # pseudo-count in the log-odds of a class that the training data never shows
KEPT = 120_000  # n-grams, those of the largest weights
LARGE = 1 << 20  # characters in one pass: caps memory, whatever the texts' length


class Linear:
    """A fitted linear family. `weights` is (features, T + S + V), `bias` (T,), the others (T, S) and (T, V)."""

    def __init__(
        self, codebook: Codebook, vocabulary: Sequence[str], tensors: dict[str, np.ndarray[Any, np.dtype[Any]]]
    ) -> None:
        self.codebook = codebook
        self.vocabulary = list(vocabulary)
        self.tensors = tensors

    @cached_property
    def _vectorizer(self) -> Any:
        vectorizer = _new_vectorizer(vocabulary=self.vocabulary)
        vectorizer.idf_ = self.tensors["idf"].astype(np.float64)
        return vectorizer

    @cached_property
    def _weights(self) -> Array:
        return self.tensors["weights"].astype(np.float64)

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        stances, voices = tuple(self.codebook.stances), tuple(self.codebook.voices)
        T, S = len(self.codebook.names), len(stances)
        logits = np.concatenate(
            [self._vectorizer.transform(part) @ self._weights for part in _portions(texts)]
            or [np.zeros((0, self._weights.shape[1]))]
        )
        theme = 1 / (1 + np.exp(-(logits[:, :T] + self.tensors["bias"])))
        stance = softmax(logits[:, None, T : T + S] + self.tensors["stance_bias"]) if stances else None
        voice = softmax(logits[:, None, T + S :] + self.tensors["voice_bias"]) if voices else None
        return Probabilities(self.codebook.names, stances, voices, theme, stance, voice)

    @classmethod
    def fit(cls, paragraphs: Sequence[Paragraph], codebook: Codebook, seed: int) -> Self:
        """Fit on labelled paragraphs. Nothing here is drawn at random, so `seed` changes nothing.

        Raises AnnotationError where there are fewer than two paragraphs.
        """
        if len(paragraphs) < 2:
            raise AnnotationError(f"{len(paragraphs)} labelled paragraph(s) cannot train a model; bring at least two")
        vectorizer = _new_vectorizer(min_df=2 if len(paragraphs) > 100 else 1)
        X = vectorizer.fit_transform([paragraph.text for paragraph in paragraphs])
        weights, bias = _fit_themes(X, theme_matrix(paragraphs, codebook.names))
        columns, tensors = [weights], {"bias": bias}
        for part, values in (("stance", codebook.stances), ("voice", codebook.voices)):
            shared, own = _fit_given_theme(X, paragraphs, codebook.names, tuple(values), part)
            columns.append(shared)
            tensors[f"{part}_bias"] = own
        tensors["weights"] = np.hstack(columns)
        tensors["idf"] = vectorizer.idf_
        strength = (np.abs(tensors["weights"]) * tensors["idf"][:, None]).max(axis=1)
        kept = np.sort(np.argsort(-strength, kind="stable")[:KEPT])  # the rest moves no label
        for name in ("weights", "idf"):
            tensors[name] = tensors[name][kept]
        return cls(
            codebook,
            vectorizer.get_feature_names_out()[kept].tolist(),
            {name: tensor.astype(np.float16 if name == "weights" else np.float32) for name, tensor in tensors.items()},
        )

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save

        lines = json.dumps(self.vocabulary, ensure_ascii=False, separators=(",", ":"))
        (folder / "vocabulary.json").write_text(lines, encoding="utf-8")
        (folder / "linear.safetensors").write_bytes(save({k: np.ascontiguousarray(v) for k, v in self.tensors.items()}))

    @classmethod
    def load(cls, folder: Path, codebook: Codebook) -> Self:
        vocabulary = read_json(folder / "vocabulary.json", ENDINGS[".json"])
        if not isinstance(vocabulary, list) or not all(isinstance(gram, str) for gram in vocabulary):
            raise ModelError(f"{folder / 'vocabulary.json'}: not a list of n-grams; fetch the model anew")
        T, S, V = len(codebook.names), len(codebook.stances), len(codebook.voices)
        shapes = {
            "weights": ((len(vocabulary), T + S + V), "float16"),
            "idf": ((len(vocabulary),), "float32"),
            "bias": ((T,), "float32"),
            "stance_bias": ((T, S), "float32"),
            "voice_bias": ((T, V), "float32"),
        }
        return cls(codebook, vocabulary, read_tensors(folder / "linear.safetensors", shapes, ENDINGS[".safetensors"]))


def ngrams(text: str) -> Iterator[str]:
    """The features of a text, in order: words and pairs of words; ideographs, pairs and triples of them."""
    before: str | None = None
    for run in RUNS.findall(normalise(text)):
        if IDEOGRAPH.match(run):
            before = None
            yield from run
            yield from map("".join, pairwise(run))
            yield from (run[i : i + 3] for i in range(len(run) - 2))
        else:
            yield run
            if before is not None:
                yield f"{before} {run}"
            before = run


def _new_vectorizer(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer=ngrams, sublinear_tf=True, dtype=np.float64, **options)


def _fit_themes(X: Any, truth: np.ndarray[Any, np.dtype[Any]]) -> tuple[Array, Array]:
    """Weights (F, T) and bias (T,) of one logistic regression for each theme."""
    weights, bias = np.zeros((X.shape[1], truth.shape[1])), np.zeros(truth.shape[1])
    for t, y in enumerate(truth.T):
        if y.all() or not y.any():
            bias[t] = np.log((y.sum() + SMOOTHING) / ((~y).sum() + SMOOTHING))
        else:
            model = _regression().fit(X, y)
            weights[:, t], bias[t] = model.coef_[0], model.intercept_[0]
    return weights, bias


def _regression() -> Any:
    """L-BFGS, because it takes no random numbers (liblinear's are shared between threads)."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10, class_weight="balanced", solver="lbfgs", max_iter=2000)


def _fit_given_theme(
    X: Any, paragraphs: Sequence[Paragraph], themes: tuple[str, ...], values: tuple[str, ...], part: str
) -> tuple[Array, Array]:
    """Weights (F, values) that all themes share and a bias (T, values), from one row for each gold label."""
    from scipy.sparse import csr_matrix, hstack

    weights, bias = np.zeros((X.shape[1], len(values))), np.zeros((len(themes), len(values)))
    rows, theme, y = label_indices(paragraphs, themes, values, part)
    seen = np.unique(y).tolist()
    unseen = [value for value in range(len(values)) if value not in seen]
    if unseen:
        bias[:, unseen] = np.log(SMOOTHING / (len(rows) + SMOOTHING))
    if len(seen) < 2:
        return weights, bias
    own = csr_matrix((np.ones(len(rows)), (np.arange(len(rows)), theme)), shape=(len(rows), len(themes)))
    model = _regression().fit(hstack([X[rows], own]).tocsr(), y)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(seen) == 2:  # scikit-learn keeps one row for two classes
        coefficients, intercepts = np.vstack([-coefficients, coefficients]) / 2, np.array([-1, 1]) * intercepts / 2
    weights[:, seen] = coefficients[:, : X.shape[1]].T
    bias[:, seen] = coefficients[:, X.shape[1] :].T + intercepts
    return weights, bias


def _portions(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in order, cut where LARGE characters have come together."""
    start = size = 0
    for stop, text in enumerate(texts):
        if size and size + len(text) > LARGE:
            yield texts[start:stop]
            start, size = stop, 0
        size += len(text)
    if start < len(texts):
        yield texts[start:]
