"""Linear heads for peers: from a matrix of features to probabilities of themes, stances and voices."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack

from capthemes.codebook import Codebook
from capthemes.records import Array, Paragraph, Probabilities, label_indices, theme_matrix


class AbsentError(Exception):
    """A peer that cannot be run here; the message says what it lacks."""


def heads(X: Any, training: Sequence[Paragraph], C: float) -> Callable[[Any], Probabilities]:
    """Logistic regressions on (n, d) features: one a theme, one a stance and one a voice, these beside the theme."""
    book = Codebook.load()
    names, T, d = book.names, len(book.names), X.shape[1]
    X = csr_matrix(X)
    theme = _fit(X, theme_matrix(training, names).T, C)
    given = {}
    for part, values in (("stance", tuple(book.stances)), ("voice", tuple(book.voices))):
        rows, own, truth = label_indices(training, names, values, part)
        beside = csr_matrix((np.ones(len(own)), (np.arange(len(own)), own)), shape=(len(own), T))
        given[part] = _fit(hstack([X[rows], beside]).tocsr(), [truth == v for v in range(len(values))], C)

    def predict(features: Any) -> Probabilities:
        Z = csr_matrix(features)
        stance, voice = (_shared(Z @ w[:, :d].T, w[:, d:], b) for w, b in (given["stance"], given["voice"]))
        margins = Z @ theme[0].T + theme[1]
        return Probabilities(names, tuple(book.stances), tuple(book.voices), _sigmoid(margins), stance, voice)

    return predict


def _fit(X: Any, targets: Any, C: float) -> tuple[Array, Array]:
    """Weights (k, d) and intercepts (k,) of k binary regressions; a target that never, or always, holds has none."""
    from sklearn.linear_model import LogisticRegression

    weights, intercepts = [], []
    for y in targets:
        if y.all() or not y.any():
            weights.append(np.zeros(X.shape[1]))
            intercepts.append(6.0 if y.all() else -6.0)
            continue
        fitted = LogisticRegression(C=C, class_weight="balanced", solver="liblinear", random_state=0).fit(X, y)
        weights.append(fitted.coef_[0])
        intercepts.append(fitted.intercept_[0])
    return np.stack(weights), np.array(intercepts)


def _shared(margins: Array, own: Array, intercepts: Array) -> Array:
    """(n, T, k) probabilities that sum to 1, of (n, k) margins and what each theme adds, (k, T)."""
    found = _sigmoid(margins[:, None, :] + own.T[None] + intercepts)
    return np.asarray(found / found.sum(axis=2, keepdims=True))


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))))
