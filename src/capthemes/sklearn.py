"""For scikit-learn's users: texts in, themes out, as an estimator among their own."""

from typing import Any, Literal, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from capthemes.errors import InputError
from capthemes.families.fewshot import Sentences, pretrained
from capthemes.families.head import ThemeHead
from capthemes.model import _checked
from capthemes.records import Array
from capthemes.text import HAN, normalise

TOKEN = f"[{HAN}]|[^\\W_{HAN}]+"  # an ideograph, or a word of another script


class ThemeClassifier(ClassifierMixin, TransformerMixin, BaseEstimator):
    """Logistic regressions on texts, one for each theme.

    `features` are "ngrams" (TF-IDF of words and ideographs and their pairs) or "sentences" (vectors of `encoder`, as
    in the fewshot family; they serve 8 to 16 examples a theme better). `C` and `balanced` are those of ThemeHead.

    Y is an indicator matrix (n, T), sparse or not, whose columns may bear the themes' names (a DataFrame), or a vector
    of one class a text; a matrix of one column is such a vector. `transform` gives the probabilities as features.
    """

    def __init__(
        self,
        features: Literal["ngrams", "sentences"] = "ngrams",
        C: float = 10.0,
        balanced: bool = True,
        encoder: str | None = None,
    ) -> None:
        self.features = features
        self.C = C
        self.balanced = balanced
        self.encoder = encoder

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, texts: Any, Y: Any, sample_weight: Any = None) -> Self:
        """Fit on n texts. Raises TextTypeError for what is no list of texts, InputError for unknown features."""
        texts = _checked(texts)
        check_consistent_length(texts, Y)
        if self.features == "ngrams":
            self.reader_ = TfidfVectorizer(
                preprocessor=normalise, token_pattern=TOKEN, ngram_range=(1, 2), sublinear_tf=True
            ).fit(texts)
        elif self.features == "sentences":
            self.reader_ = pretrained(self.encoder)
        else:
            raise InputError(f"features {self.features!r} must be 'ngrams' or 'sentences'")
        dense = Y.toarray() if issparse(Y) else np.asarray(Y)
        self.head_ = ThemeHead(C=self.C, balanced=self.balanced).fit(self._read(texts), dense, sample_weight)
        self.classes_ = self.head_.classes_
        names = getattr(Y, "columns", self.classes_)  # one theme alone is two classes, with it and without
        self.themes_ = [str(name) for name in (names if len(names) == len(self.classes_) else self.classes_)]
        return self

    def _read(self, texts: list[str]) -> Any:
        if isinstance(self.reader_, Sentences):
            return self.reader_.vectors(texts)
        return self.reader_.transform(texts)

    def predict(self, texts: Any) -> np.ndarray:
        """The indicator matrix (n, T), or the classes (n,), as Y was."""
        check_is_fitted(self)
        return self.head_.predict(self._read(_checked(texts)))

    def predict_proba(self, texts: Any) -> Array:
        """Probabilities (n, T) of the themes, or of the classes."""
        check_is_fitted(self)
        return self.head_.predict_proba(self._read(_checked(texts)))

    def decision_function(self, texts: Any) -> Array:
        """Log-odds: (n, T), or (n,) of the second of two classes."""
        check_is_fitted(self)
        return self.head_.decision_function(self._read(_checked(texts)))

    def transform(self, texts: Any) -> Array:
        """The probabilities as features, named by `get_feature_names_out`."""
        return self.predict_proba(texts)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """The themes' names, where Y had them, else their positions."""
        check_is_fitted(self)
        return np.array(self.themes_, dtype=object)
