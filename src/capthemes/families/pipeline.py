"""The pipeline family: a scikit-learn estimator of the user's own, from texts to a row of themes.

It says nothing of stance or voice. It is saved through skops, which holds a list of types and runs no code.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from capthemes.codebook import Codebook
from capthemes.errors import ModelError
from capthemes.manifest import ENDINGS
from capthemes.records import Array, Paragraph, Probabilities, theme_matrix
from capthemes.text import sound
from capthemes.untrusted import parse, read_bytes

FILE = "pipeline.skops"


class Pipeline:
    """A fitted `estimator`, whose predict_proba or decision_function takes texts and answers for each theme.

    Its columns are the codebook's themes in their order, or those that its `themes_` or `classes_` name.
    """

    learns: ClassVar[bool] = True
    quick: ClassVar[bool] = False
    side_by_side: ClassVar[bool] = False
    as_its_maker: ClassVar[Mapping[str, Any]] = {"trusted": True}

    def __init__(self, codebook: Codebook, estimator: Any) -> None:
        self.codebook = codebook
        self.estimator = estimator

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        T = len(self.codebook.names)
        theme = (
            _theme_probabilities(self.estimator, [sound(text) for text in texts]) if len(texts) else np.zeros((0, T))
        )
        columns = themes_of(self.estimator, self.codebook)
        if columns is not None and theme.shape[1] == len(columns):
            theme = _in_order(theme, columns, self.codebook)
        theme = theme[:, -1:] if T == 1 else theme  # of one theme scikit-learn gives the odds of no and of yes
        if theme.shape != (len(texts), T):
            raise ModelError(f"the pipeline answers {theme.shape} for {len(texts)} texts and {T} themes")
        return Probabilities(self.codebook.names, (), (), theme)

    @classmethod
    def fit(cls, paragraphs: Sequence[Paragraph], codebook: Codebook, seed: int, estimator: Any = None) -> Self:
        """Fit a clone of `estimator` on texts and their (n, T) themes; `seed` is its own affair.

        Raises ModelError where no estimator is given or it cannot learn several themes at once.
        """
        from sklearn.base import clone

        if estimator is None:
            raise ModelError(
                "the pipeline family needs an estimator: train(..., family='pipeline', estimator=make_pipeline("
                "TfidfVectorizer(), OneVsRestClassifier(LogisticRegression())))"
            )
        truth = theme_matrix(paragraphs, codebook.names).astype(int)
        truth = truth[:, 0] if truth.shape[1] == 1 else truth
        try:
            fitted = clone(estimator).fit([sound(paragraph.text) for paragraph in paragraphs], truth)
        except ValueError as error:
            raise ModelError(
                f"the estimator cannot be fitted on texts and {len(codebook.names)} themes ({error}); "
                "wrap its last step in OneVsRestClassifier"
            ) from error
        return cls(codebook, fitted)

    def save(self, folder: Path) -> None:
        _skops().dump(self.estimator, folder / FILE)

    @classmethod
    def load(cls, folder: Path, codebook: Codebook, trusted: Sequence[str] | bool = ()) -> Self:
        """Load a saved pipeline; `trusted` names types beyond those that skops takes for harmless, True takes all.

        Raises ModelError for a file that asks for other types, naming them.
        """
        skops, path = _skops(), folder / FILE
        try:
            _check_archive(read_bytes(path, ENDINGS[path.suffix]))
            asked = skops.get_untrusted_types(file=path)
            strange = [] if trusted is True else sorted(set(asked) - set(trusted or ()))
            if strange:
                raise ModelError(
                    f"{path}: asks for types that are not trusted: {', '.join(strange)}; "
                    f"if you know where it is from: load(..., trusted={strange}), or --trusted"
                )
            return cls(codebook, skops.load(path, trusted=asked))
        except ModelError:
            raise
        except Exception as error:  # a damaged archive fails in many ways
            raise ModelError(f"{path}: cannot be read ({error}); save the model anew") from error


def themes_of(estimator: Any, codebook: Codebook) -> list[str] | None:
    """What the columns of an estimator's answers are called, where any is called as a theme is; else None."""
    for attribute in ("themes_", "classes_"):
        columns = list(getattr(estimator, attribute, ()))
        if all(isinstance(name, str) for name in columns) and set(columns) & set(codebook.names):
            return [str(name) for name in columns]
    return None


def _in_order(theme: Array, columns: Sequence[str], codebook: Codebook) -> Array:
    """(n, T) in the codebook's order; 0 for a theme that no column is named after, and no other column."""
    found = np.zeros((len(theme), len(codebook.names)))
    for column, name in enumerate(columns):
        if name in codebook.names:
            found[:, codebook.names.index(name)] = theme[:, column]
    return found


def _check_archive(content: bytes) -> None:
    """Raise ValueError for an archive that inflates, or whose description would fill the memory."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > len(content):
            raise ValueError("it is compressed; skops.io.dump stores without")
        parse(archive.read("schema.json"))


def _theme_probabilities(estimator: Any, texts: list[str]) -> Array:
    """(n, T) of what an estimator gives: an array, a list of (n, 2) for each theme, or margins."""
    if not hasattr(estimator, "predict_proba"):
        if not hasattr(estimator, "decision_function"):
            raise ModelError(
                "the pipeline's last step has neither predict_proba nor decision_function; take one that has"
            )
        margins = np.asarray(estimator.decision_function(texts), dtype=np.float64)
        return np.asarray(1 / (1 + np.exp(-margins.reshape(len(texts), -1))))
    found = estimator.predict_proba(texts)
    if isinstance(found, list):
        classes = estimator.classes_
        found = np.stack([_of_true(p, kept) for p, kept in zip(found, classes, strict=True)], axis=1)
    return np.asarray(found, dtype=np.float64)


def _of_true(p: Array, classes: Any) -> Array:
    """The probability of 1 where a theme's classes are 0 and 1, or only one of them."""
    return p[:, list(classes).index(1)] if 1 in classes else np.zeros(len(p))


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise ModelError("the pipeline family needs skops: pip install 'capthemes[pipeline]'") from error
    return skops.io
