"""The head: numbers in, one balanced logistic regression for each theme, as a scikit-learn estimator."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from capthemes.records import Array

SMOOTHING = 0.5  # pseudo-count in the log-odds of a column of one value
TIGHT = {"solver": "lbfgs", "tol": 1e-8, "max_iter": 5000}  # so that a weight of two is a row that stands twice


class ThemeHead(ClassifierMixin, BaseEstimator):
    """Logistic regressions, one for each column of an indicator matrix (n, T), or for each class of a vector (n,).

    `C` is the inverse strength of regularisation; with `balanced`, both sides of each regression weigh the same. A
    column of one value has no weights and the log-odds of its share, smoothed.
    """

    def __init__(self, C: float = 1.0, balanced: bool = True) -> None:
        self.C = C
        self.balanced = balanced

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit on features X (n, F) and labels y. Raises ValueError as scikit-learn does."""
        X, y = validate_data(self, X, y, accept_sparse="csr", multi_output=True, dtype=np.float64)
        check_classification_targets(y)
        weight = _check_sample_weight(sample_weight, X)
        self.indicator_ = type_of_target(y, input_name="y") == "multilabel-indicator"
        if self.indicator_:
            self.classes_, truth = np.arange(y.shape[1]), np.asarray(y) == 1
        else:
            y = np.asarray(y)
            self.classes_ = np.unique(y if y.ndim == 1 else y.ravel())
            present = np.unique(np.ravel(y)[weight > 0])
            if len(present) < 2:
                raise ValueError(f"the head cannot be fitted on one class ({present.tolist()}); bring two or more")
            truth = (
                np.ravel(y)[:, None] == self.classes_[1:]
                if len(self.classes_) == 2
                else (np.ravel(y)[:, None] == self.classes_)
            )
        self.coef_, self.intercept_ = regressions(X, truth, weight, self.C, self.balanced)
        return self

    def decision_function(self, X: Any) -> Array:
        """Log-odds (n, T), or (n,) of the second of two classes."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False, dtype=np.float64)
        odds = np.asarray(X @ self.coef_.T + self.intercept_)
        return odds if self.indicator_ or len(self.classes_) > 2 else odds[:, 0]

    def predict_proba(self, X: Any) -> Array:
        """Probabilities (n, T); of classes, which exclude one another, they sum to 1."""
        odds = self.decision_function(X)
        p = 1 / (1 + np.exp(-odds))
        if self.indicator_:
            return p
        if odds.ndim == 1:
            return np.column_stack([1 - p, p])
        return np.asarray(p / p.sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> np.ndarray:
        """The indicator matrix (n, T) of 0 and 1, or the most probable classes (n,)."""
        odds = self.decision_function(X)
        if self.indicator_:
            return (odds > 0).astype(int)
        return np.asarray(self.classes_[(odds > 0).astype(int) if odds.ndim == 1 else odds.argmax(axis=1)])


def regressions(
    X: Any, truth: np.ndarray, weight: Array | None = None, C: float = 1.0, balanced: bool = True
) -> tuple[Array, Array]:
    """Weights (K, F) and intercepts (K,) of one logistic regression for each column of `truth` (n, K)."""
    weight = np.ones(len(truth)) if weight is None else weight
    coefficients, intercepts = np.zeros((truth.shape[1], X.shape[1])), np.zeros(truth.shape[1])
    for k, side in enumerate(truth.T):
        yes, no = float(weight[side].sum()), float(weight[~side].sum())
        if not yes or not no:
            intercepts[k] = np.log((yes + SMOOTHING) / (no + SMOOTHING))
            continue
        level = np.where(side, 1 / yes, 1 / no) * (yes + no) / 2 if balanced else 1.0
        model = LogisticRegression(C=C, **TIGHT).fit(X, side, sample_weight=weight * level)
        coefficients[k], intercepts[k] = model.coef_[0], model.intercept_[0]
    return coefficients, intercepts
