"""The linear family: n-grams weighted by rarity, and one matrix of logistic regressions for themes, stance and voice.

A text's distinct n-grams add up their rows of whole numbers, and the sum is divided by the length of the
vector of their weights; so neither the order of texts, nor threads, nor batches can change a bit. Stance and
voice are read by regressions that the themes share, with a bias of each theme's own.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, ModelError
from capthemes.families.ngrams import characters, ngrams
from capthemes.manifest import ENDINGS
from capthemes.records import Array, Paragraph, Probabilities, label_indices, theme_matrix
from capthemes.store import packed
from capthemes.untrusted import read_tensors

if TYPE_CHECKING:
    import pyarrow

FILE = "linear.safetensors"
SMOOTHING = 0.5  # pseudo-count in the log-odds of a class that the training data never shows
KEPT = 1 << 17  # n-grams at most, those of most paragraphs
RARE = (100, 2000)  # from so many paragraphs on, an n-gram of only one, then of only two, is left out
UNIT = 1024  # squares of n-grams' weights are kept as whole numbers of 1 / UNIT
SMALL = 1 << 16  # bytes: for less in all, plain Python is done before the compiler is loaded
PORTION = 500  # texts that one thread sums at a time
WIDTH = 32  # the kernel adds rows of a multiple of so many columns, as processors do

Sums = tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]


class Linear:
    """A fitted linear family, of F n-grams and C = T + S + V columns.

    tensors: `keys` (F,), the sorted hashes of its n-grams; `rows` (F, C) int8 and `scales` (C,), what each adds
    to each column; `squares` (F,), of its weight; `bias` (T,), `stance_bias` (T, S), `voice_bias` (T, V).
    """

    learns: ClassVar[bool] = True
    quick: ClassVar[bool] = True
    side_by_side: ClassVar[bool] = True
    as_its_maker: ClassVar[Mapping[str, Any]] = {}
    reads_arrow: ClassVar[bool] = True

    def __init__(self, codebook: Codebook, tensors: dict[str, npt.NDArray[Any]], threads: int | None = None) -> None:
        self.codebook = codebook
        self.tensors = tensors
        self.threads = threads
        self.plain = 0  # bytes that plain Python has read

    def predict_proba(self, texts: "Sequence[str] | pyarrow.Array") -> Probabilities:
        sums, norms = self._sums(*_utf8(texts))
        stances, voices = tuple(self.codebook.stances), tuple(self.codebook.voices)
        T, S = len(self.codebook.names), len(stances)
        lengths = np.sqrt(np.maximum(norms, 1) / UNIT)
        logits = sums * self.tensors["scales"].astype(np.float64) / lengths[:, None]
        theme = 1 / (1 + np.exp(-(logits[:, :T] + self.tensors["bias"])))
        stance = _given_theme(logits[:, T : T + S], self.tensors["stance_bias"]) if stances else None
        voice = _given_theme(logits[:, T + S :], self.tensors["voice_bias"]) if voices else None
        return Probabilities(self.codebook.names, stances, voices, theme, stance, voice)

    def _sums(self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Sums:
        """Of each text, the sums (n, C) of its known n-grams' rows and (n,) of their squares."""
        n = len(offsets) - 1
        norms = np.zeros(n, dtype=np.int64)
        if self.plain + offsets[-1] - offsets[0] < SMALL:
            self.plain += int(offsets[-1] - offsets[0])
            sums = np.zeros((n, self.tensors["rows"].shape[1]), dtype=np.int32)
            for text in range(n):
                known = self._known(data[offsets[text] : offsets[text + 1]].tobytes())
                sums[text] = self.tensors["rows"][known].sum(axis=0, dtype=np.int32)
                norms[text] = self.tensors["squares"][known].sum(dtype=np.int64)
            return sums, norms
        from concurrent.futures import ThreadPoolExecutor

        from joblib import cpu_count

        from capthemes.families.kernel import summed

        *lookup, rows, squares = self._tables
        sums = np.zeros((n, rows.shape[1]), dtype=np.int32)

        def portion(first: int) -> None:
            summed(data, offsets, first, min(first + PORTION, n), *characters(), *lookup, rows, squares, sums, norms)

        if n <= PORTION:
            portion(0)
        else:
            with ThreadPoolExecutor(self.threads or cpu_count()) as pool:
                list(pool.map(portion, range(0, n, PORTION)))
        return sums[:, : self.tensors["rows"].shape[1]], norms

    def _known(self, data: bytes) -> npt.NDArray[np.intp]:
        """The positions of a text's distinct known n-grams, in plain Python."""
        places, known = self._places(sorted({gram.hash for gram in ngrams(data)}))
        return places[known]

    def _places(self, hashes: Sequence[int]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """The positions of n-grams, and which of them are known; the others' positions mean nothing."""
        keys, sought = self.tensors["keys"], np.array(hashes, dtype=np.uint64)
        places = np.minimum(np.searchsorted(keys, sought), len(keys) - 1)
        return places, np.asarray(keys[places] == sought)

    def contributions(self, text: str) -> tuple[npt.NDArray[np.intp], Array]:
        """What each n-gram adds to the themes' log-odds; one that recurs adds in equal parts where it stands."""
        grams = list(ngrams(text.encode("utf-8", "replace")))
        places, known = self._places([gram.hash for gram in grams])
        bounds = np.array([gram[1:] for gram in grams], dtype=np.intp).reshape(-1, 2)[known]
        ends = np.cumsum([len(char.encode("utf-8", "replace")) for char in text])
        distinct, which, times = np.unique(places[known], return_inverse=True, return_counts=True)
        T = len(self.codebook.names)
        length = np.sqrt(max(self.tensors["squares"][distinct].sum(dtype=np.int64), 1) / UNIT)
        parts = self.tensors["rows"][distinct, :T] * self.tensors["scales"][:T].astype(np.float64) / length
        spans = np.stack(
            [np.searchsorted(ends, bounds[:, 0], "right"), np.searchsorted(ends, bounds[:, 1], "left") + 1]
        )
        return spans.T, (parts / times[:, None])[which]

    @cached_property
    def _tables(self) -> tuple[npt.NDArray[Any], ...]:
        """What the kernel looks n-grams up in: slots and a bitmap by hash, then keys, rows and squares."""
        from capthemes.families.kernel import slotted

        keys = self.tensors["keys"]
        size = 1 << max(10, (4 * len(keys) - 1).bit_length())
        slots = np.full(size, -1, dtype=np.int32)
        slotted(keys, slots)
        flags = np.zeros(8 * size, dtype=np.bool_)
        flags[(keys >> np.uint64(32)) & np.uint64(len(flags) - 1)] = True
        bits = np.packbits(flags, bitorder="little")
        columns = self.tensors["rows"].shape[1]
        rows = np.ascontiguousarray(np.pad(self.tensors["rows"], ((0, 0), (0, -columns % WIDTH))))
        return slots, bits, keys, rows, self.tensors["squares"]

    @classmethod
    def fit(cls, paragraphs: Sequence[Paragraph], codebook: Codebook, seed: int) -> Self:
        """Fit on labelled paragraphs. Nothing here is drawn at random, so `seed` changes nothing.

        Raises AnnotationError where there are fewer than two paragraphs, or none has a word.
        """
        if len(paragraphs) < 2:
            raise AnnotationError(f"{len(paragraphs)} labelled paragraph(s) cannot train a model; bring at least two")
        keys, X = _features([paragraph.text for paragraph in paragraphs])
        if not len(keys):
            raise AnnotationError("there is no word in the labelled paragraphs; bring paragraphs with text")
        idf = np.log((1 + len(paragraphs)) / (1 + X.sum(axis=0))) + 1
        tensors = _fit_columns(_weighted(X, idf), paragraphs, codebook)
        added = tensors.pop("weights") * idf[:, None]
        scales = np.maximum(np.abs(added).max(axis=0, initial=0), np.finfo(np.float32).tiny) / 127
        return cls(
            codebook,
            {
                "keys": keys,
                "rows": np.rint(added / scales).astype(np.int8),
                "scales": scales.astype(np.float32),
                "squares": np.rint(idf**2 * UNIT).astype(np.int32),
                **{name: tensor.astype(np.float32) for name, tensor in tensors.items()},
            },
        )

    def save(self, folder: Path) -> None:
        (folder / FILE).write_bytes(packed(self.tensors))

    @classmethod
    def load(cls, folder: Path, codebook: Codebook, threads: int | None = None) -> Self:
        """`threads` is how many share the work on a large batch; one for each processor by default."""
        path, T, S, V = folder / FILE, len(codebook.names), len(codebook.stances), len(codebook.voices)
        tensors = read_tensors(
            path,
            {
                "keys": ((None,), "uint64"),
                "rows": ((None, T + S + V), "int8"),
                "scales": ((T + S + V,), "float32"),
                "squares": ((None,), "int32"),
                "bias": ((T,), "float32"),
                "stance_bias": ((T, S), "float32"),
                "voice_bias": ((T, V), "float32"),
            },
            ENDINGS[path.suffix],
        )
        keys, squares = tensors["keys"], tensors["squares"]
        if not len(keys) == len(tensors["rows"]) == len(squares) > 0:
            raise ModelError(f"{path}: keys, rows and squares must be as many; fetch the model anew")
        if (keys[1:] <= keys[:-1]).any() or (squares < 0).any():
            raise ModelError(f"{path}: keys must rise and squares be positive; fetch the model anew")
        return cls(codebook, tensors, threads)


def _utf8(texts: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of all texts, and where each begins and the last ends; Arrow's are read where they lie."""
    if not len(texts):
        return np.zeros(0, dtype=np.uint8), np.zeros(1, dtype=np.int64)
    if hasattr(texts, "buffers"):
        width = np.int64 if "large" in str(texts.type) else np.int32
        _, offsets, data = texts.buffers()
        places = np.frombuffer(offsets, dtype=width)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
        return np.frombuffer(data or b"", dtype=np.uint8), places
    encoded = [text.encode("utf-8", "replace") for text in texts]
    places = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), places


def _given_theme(shared: Array, own: Array) -> Array:
    """(n, T, K), the softmax of shared (n, K) plus own (T, K), with n + T exponentials a column in place of n * T."""
    of_text, of_theme = (np.exp(part - part.max(axis=1, keepdims=True)) for part in (shared, own.astype(np.float64)))
    return np.asarray(of_text[:, None, :] * of_theme / (of_text @ of_theme.T)[:, :, None])


def _features(texts: Sequence[str]) -> tuple[npt.NDArray[np.uint64], Any]:
    """The sorted hashes of the n-grams that are learnt from, and which text has which, (n, F), sparse."""
    from scipy.sparse import csr_array

    from capthemes.families.kernel import hashes

    found = []
    for data in (text.encode("utf-8", "replace") for text in texts):
        room = np.empty(3 * len(data) + 2, dtype=np.uint64)
        found.append(np.unique(room[: hashes(np.frombuffer(data, dtype=np.uint8), 0, len(data), *characters(), room)]))
    keys, columns, counts = np.unique(np.concatenate(found), return_inverse=True, return_counts=True)
    starts = np.cumsum([0, *map(len, found)])
    X = csr_array((np.ones(len(columns)), columns, starts), shape=(len(texts), len(keys)))
    common = np.argsort(-counts, kind="stable")[:KEPT]
    kept = np.sort(common[counts[common] > sum(len(texts) > size for size in RARE)])
    return keys[kept], X[:, kept]


def _weighted(X: Any, weights: Array) -> Any:
    """The rows of a sparse matrix with weighted columns, each of length 1 (or 0)."""
    from scipy.sparse import diags_array

    weighted = X @ diags_array(weights)
    lengths = np.sqrt((weighted * weighted).sum(axis=1))
    return (diags_array(1 / np.maximum(lengths, 1e-12)) @ weighted).tocsr()


def _fit_columns(X: Any, paragraphs: Sequence[Paragraph], codebook: Codebook) -> dict[str, Array]:
    """weights (F, T + S + V), bias (T,), stance_bias (T, S) and voice_bias (T, V)."""
    weights, bias = _fit_themes(X, theme_matrix(paragraphs, codebook.names))
    columns, tensors = [weights], {"bias": bias}
    for part, values in (("stance", codebook.stances), ("voice", codebook.voices)):
        shared, tensors[f"{part}_bias"] = _fit_given_theme(X, paragraphs, codebook.names, tuple(values), part)
        columns.append(shared)
    return {"weights": np.hstack(columns), **tensors}


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
