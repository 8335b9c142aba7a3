"""Is this my kind of text: how far a corpus is from the text that a model was trained on.

A profile holds which words (of Chinese: pairs of ideographs) the training text has, as hashes, with how many documents
have each, and how surprising its own documents are to the rest of it. There is no text in it.
"""

import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from capthemes.errors import ModelError
from capthemes.manifest import ENDINGS
from capthemes.records import Array
from capthemes.runs import Run, document_names
from capthemes.store import atomic_path, packed
from capthemes.text import HAN, normalise, script
from capthemes.untrusted import Shape, read_about, read_tensors

FORMAT = "1"
LANGUAGES = ("en", "zh")
LEAST = 2  # documents that must have a word, for it to be known
UNKNOWN = 6.0  # bits that an unknown word is more surprising than the rarest known one
BINS = (15, 40, 100)  # words of a paragraph, between lengths that are compared apart
TAIL = 99  # percentile of the training text beyond which a paragraph is outside
FAR = 0.75  # chance that a paragraph is stranger than one of the training text, from which on there is a warning
MOST = 20_000  # paragraphs of a run that are read
PARTS = 16  # of a run that are read
STRANGEST = 5  # paragraphs that are named
ENOUGH = 10  # paragraphs of a corpus, below which no judgement is given
MANY_OUTSIDE = 0.1  # share of paragraphs outside, from which on there is a warning
FEW = 100  # paragraphs of a language or length, below which those of all stand in
OUTSIDE_DOCUMENT = 0.5  # share of its paragraphs outside, from which on a document is
_WORD = re.compile(f"[{HAN}]+|[^\\W\\d_{HAN}]+")
Ints = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What a profile says of n paragraphs.

    surprise: bits a word; unknown: share of words that the training text has not; strangeness: how many in a hundred of
    the training text's own paragraphs, of like language and length, are less surprising; usual: bits a word that 99 in
    a hundred of those do not exceed; words; language, of LANGUAGES.
    """

    surprise: Array
    unknown: Array
    strangeness: Array
    usual: Array
    words: Ints
    language: Ints

    @property
    def outside(self) -> npt.NDArray[np.bool_]:
        """(n,), whether a paragraph is far outside."""
        return self.strangeness >= TAIL


@dataclass(frozen=True, slots=True)
class Stray:
    """A paragraph far outside: how surprising it is, and what 99 in a hundred of the training text's paragraphs of like
    language and length do not exceed, both in bits a word."""

    id: str
    surprise: float
    usual: float


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a corpus is from the training text; each pair is (of the corpus, of the training text).

    distance: the chance that a paragraph of the corpus is stranger than one of the training text in the same language
    and of like length, 0.5 where they are alike. outside: the share of paragraphs beyond the 99th percentile of the
    training text. documents: those with at least half of their paragraphs outside, most of them first. strangest: the
    paragraphs outside that are the farthest, at most STRANGEST.
    """

    paragraphs: int
    distance: float
    outside: float
    unknown: tuple[float, float]
    chinese: tuple[float, float]
    words: tuple[float, float]
    documents: tuple[str, ...]
    strangest: tuple[Stray, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.outside:.0%} of paragraphs are far from what the model was trained on (1% expected), "
            f"{self.unknown[0]:.0%} of words are unknown ({self.unknown[1]:.0%} expected); "
            f"{self.chinese[0]:.0%} are Chinese ({self.chinese[1]:.0%} there), "
            f"half have {self.words[0]:.0f} words or fewer ({self.words[1]:.0f} there)"
        )

    @property
    def warning(self) -> str | None:
        """A line for a summary, where the corpus is not the model's kind of text."""
        if self.distance < FAR and self.outside < MANY_OUTSIDE:
            return None
        if self.paragraphs < ENOUGH:
            return f"{self.paragraphs} paragraphs are too few to tell whether this is the model's kind of text: {self}"
        strange = f"a paragraph is stranger than one of its training text {self.distance:.0%} of the time"
        return f"not the kind of text that the model knows: {strange}, {self}; check labels by hand before use"


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What a training text is like.

    hashes: of its words, sorted; bits: how many documents have each, as logarithm to base 2 in sixteenths; sizes: how
    many documents there are in each language; quantiles: (languages, lengths, 101) of its own paragraphs' surprise;
    unknown and chinese: mean shares; words: the median length of a paragraph.
    """

    hashes: npt.NDArray[np.uint32]
    bits: npt.NDArray[np.uint8]
    sizes: Array
    quantiles: Array
    unknown: float
    chinese: float
    words: float

    @classmethod
    def fit(cls, texts: Sequence[str], documents: Sequence[str] | None = None) -> "Profile":
        """Of a training text; `documents` says what each text is from, so that none vouches for its neighbours."""
        found = [_words(text) for text in texts]
        names = list(documents) if documents is not None else [str(i) for i in range(len(texts))]
        code = np.array([LANGUAGES.index(script(text)) for text in texts], dtype=np.intp)
        own: dict[str, set[str]] = {}
        for name, words in zip(names, found, strict=True):
            own.setdefault(name, set()).update(words)
        having = Counter(word for words in own.values() for word in words)
        in_language = Counter(language for _, language in {*zip(names, code.tolist(), strict=True)})
        sizes = np.array([max(in_language[number], LEAST) for number in range(len(LANGUAGES))], dtype=np.float64)
        apart = [[having[word] - 1 for word in words] for words in found]
        surprise, unknown = _measured(apart, code, sizes)
        known = {word: count for word, count in sorted(having.items()) if count >= LEAST}
        hashes, counts = _hashed(known)
        lengths = np.array([len(words) for words in found], dtype=np.intp)
        return cls(
            hashes,
            np.minimum(np.round(16 * np.log2(counts)), 255).astype(np.uint8),
            sizes,
            _quantiles(surprise, code, lengths),
            float(unknown.mean()),
            float((code == 1).mean()),
            float(np.median(lengths)),
        )

    def read(self, texts: Iterable[str]) -> Readings:
        """How strange each of n texts is."""
        read = list(texts)
        found = [_words(text) for text in read]
        code = np.array([LANGUAGES.index(script(text)) for text in read], dtype=np.intp)
        vocabulary = list({word for words in found for word in words})
        hashes = np.array([zlib.crc32(word.encode()) for word in vocabulary], dtype=np.uint32)
        place = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        counts = np.zeros(len(vocabulary))
        if len(self.hashes):
            counts = np.where(self.hashes[place] == hashes, 2.0 ** (self.bits[place] / 16), 0.0)
        having = dict(zip(vocabulary, counts.tolist(), strict=True))
        surprise, unknown = _measured([[having[word] for word in words] for words in found], code, self.sizes)
        lengths = np.array([len(words) for words in found], dtype=np.intp)
        bins = np.searchsorted(BINS, lengths, side="right")
        percentile = [
            float(np.searchsorted(self.quantiles[language, length], value, side="right")) - 1
            for value, language, length in zip(surprise, code, bins, strict=True)
        ]
        strange = np.where(lengths > 0, np.clip(percentile, 0, 100), 0.0)
        return Readings(surprise, unknown, strange, self.quantiles[code, bins, TAIL], lengths, code)

    def compare(
        self, texts: Sequence[str], documents: Sequence[str] | None = None, ids: Sequence[str] | None = None
    ) -> Drift:
        """How far a corpus, or a random sample of its paragraphs, is from the training text.

        `documents` and `ids` say what each text is from and what it is called, so that those far outside can be named.
        """
        read = self.read(texts)
        outside = read.outside
        strays: tuple[str, ...] = ()
        if documents is not None and len(texts):
            names, place = np.unique(documents, return_inverse=True)
            part = np.bincount(place, weights=outside) / np.bincount(place)
            order = np.lexsort((names, -part))
            strays = tuple(str(names[i]) for i in order if part[i] >= OUTSIDE_DOCUMENT)
        told = read.words > 0
        return Drift(
            len(texts),
            _mean(read.strangeness[told] / 100, 0.5),
            _mean(outside[told], 0.0),
            (_mean(read.unknown[told], 0.0), self.unknown),
            (_mean(read.language == 1, 0.0), self.chinese),
            (float(np.median(read.words)) if len(texts) else 0.0, self.words),
            strays,
            () if ids is None else _strangest(read, ids),
        )

    def save(self, path: Path) -> None:
        """Write a safetensors file."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "hashes": self.hashes,
            "bits": self.bits,
            "sizes": self.sizes,
            "quantiles": self.quantiles,
        }
        about = {"format": FORMAT, "unknown": self.unknown, "chinese": self.chinese, "words": self.words}
        with atomic_path(path) as temporary:
            temporary.write_bytes(packed(arrays, {"about": json.dumps(about)}))

    @classmethod
    def load(cls, path: Path) -> "Profile":
        """Read what `save` wrote. Raises ModelError."""
        most = ENDINGS[path.suffix]
        about = read_about(path, FORMAT, most)
        shapes: dict[str, tuple[Shape, str]] = {
            "hashes": ((None,), "uint32"),
            "bits": ((None,), "uint8"),
            "sizes": ((len(LANGUAGES),), "float64"),
            "quantiles": ((len(LANGUAGES), len(BINS) + 1, 101), "float64"),
        }
        tensors = read_tensors(path, shapes, most)
        hashes, bits, sizes, quantiles = (tensors[name] for name in shapes)
        try:
            unknown, chinese, words = (float(about[part]) for part in ("unknown", "chinese", "words"))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: cannot be read ({error}); fetch the model anew") from error
        if len(hashes) != len(bits):
            raise ModelError(f"{path}: its parts do not fit together; fetch the model anew")
        return cls(hashes, bits, sizes, quantiles, unknown, chinese, words)


def of_run(run: Run, profile: Profile, document: str = "document", most: int | None = None, seed: int = 0) -> Drift:
    """How far a run is from a model's training text, by MOST of its paragraphs, or `most`, drawn at random.

    Of a run of many parts only PARTS are looked at, evenly spread.
    """
    rng, columns = np.random.default_rng(seed), list(dict.fromkeys(["id", "text", document]))
    kept: list[tuple[float, str, str, str]] = []
    for batch in replace(run, files=run.files[:: -(-len(run.files) // PARTS)]).batches(columns):
        drawn = rng.random(len(batch))
        low = np.flatnonzero(drawn < (kept[-1][0] if len(kept) == (most or MOST) else 1.0))
        taken = batch.take(low)
        values = (found.to_pylist() for found in (taken["text"], document_names(taken, document), taken["id"]))
        kept = nsmallest(most or MOST, [*kept, *zip(drawn[low].tolist(), *values, strict=True)], itemgetter(0))
    told = [row for row in kept if row[1]]
    return profile.compare([text for _, text, _, _ in told], [row[2] for row in told], [str(row[3]) for row in told])


def _strangest(read: Readings, ids: Sequence[str]) -> tuple[Stray, ...]:
    """The paragraphs outside that are the most bits a word beyond what is usual."""
    beyond = np.where(read.outside, read.surprise - read.usual, -np.inf)
    first = np.argsort(-beyond, kind="stable")[: min(STRANGEST, int(read.outside.sum()))]
    return tuple(Stray(ids[i], float(read.surprise[i]), float(read.usual[i])) for i in first)


def _words(text: str) -> list[str]:
    """Words in letters, and of ideographs all pairs of neighbours."""
    found: list[str] = []
    for run in _WORD.findall(normalise(text)):
        if len(run) > 1 and script(run) == "zh":
            found.extend(run[i : i + 2] for i in range(len(run) - 1))
        elif len(run) > 1:
            found.append(run)
    return found


def _measured(counts: Sequence[Sequence[float]], language: Ints, sizes: Array) -> tuple[Array, Array]:
    """Mean surprise in bits of each paragraph's words, known in `counts` documents each, and the share unknown."""
    surprise, unknown = np.zeros(len(counts)), np.zeros(len(counts))
    for row, found in enumerate(counts):
        if found:
            having = np.asarray(found, dtype=np.float64)
            known = having >= LEAST
            size = math.log2(sizes[language[row]])
            bits = np.where(known, size - np.log2(np.maximum(having, LEAST)), size - 1 + UNKNOWN)
            surprise[row], unknown[row] = np.maximum(bits, 0).mean(), 1 - known.mean()
    return surprise, unknown


def _hashed(known: dict[str, int]) -> tuple[npt.NDArray[np.uint32], Array]:
    hashes = np.array([zlib.crc32(word.encode()) for word in known], dtype=np.uint32)
    unique, first = np.unique(hashes, return_index=True)
    return unique, np.array(list(known.values()), dtype=np.float64)[first]


def _quantiles(surprise: Array, language: Ints, lengths: Ints) -> Array:
    """(languages, lengths, 101); where a language or length has few paragraphs, those of all stand in."""
    bins, every = np.searchsorted(BINS, lengths, side="right"), lengths > 0
    table = np.zeros((len(LANGUAGES), len(BINS) + 1, 101))
    for number in range(len(LANGUAGES)):
        for length in range(len(BINS) + 1):
            own = every & (language == number) & (bins == length)
            same = every & (language == number)
            rows = own if own.sum() >= FEW else same if same.sum() >= FEW else every
            table[number, length] = np.percentile(surprise[rows], np.arange(101))
    return table


def _mean(values: np.ndarray, empty: float) -> float:
    return float(values.mean()) if len(values) else empty
