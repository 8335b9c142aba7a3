"""The fewshot family: a sentence encoder as it is, and balanced logistic regressions on its vectors.

It is for few examples a theme, 8 to 64: the heads of SetFit (Tunstall et al. 2022, arXiv:2209.11055) without its
contrastive fine-tuning, so that a fit takes seconds once the texts are read. The encoder is given the glossary's
Chinese words and has learned nothing of any theme.
"""

from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, ModelError
from capthemes.families import graph
from capthemes.families.tokens import Tokens, batches, padded, read_tokens
from capthemes.families.transformer import INPUTS, OUTPUTS, TOKENIZER, Engine, onnx_engine, require
from capthemes.manifest import ENDINGS
from capthemes.records import Array, Paragraph, Probabilities, label_indices, softmax, theme_matrix
from capthemes.store import packed
from capthemes.untrusted import Shape, read_bytes, read_tensors

WEIGHTS = "sentences.onnx"
HEAD = "head.safetensors"
C = 16.0  # inverse regularisation on vectors of length 1


class Sentences:
    """An encoder in two data files, `weights` and `tokenizer`; with `remember`, each text is read only once."""

    def __init__(self, weights: bytes, tokenizer: bytes, remember: bool = False) -> None:
        self.weights, self.tokenizer = weights, tokenizer
        self._known: dict[str, Array] | None = {} if remember else None

    def __reduce__(self) -> tuple[Any, ...]:
        return Sentences, (self.weights, self.tokenizer)

    @cached_property
    def tokens(self) -> Tokens:
        return read_tokens(self.tokenizer)

    @cached_property
    def _run(self) -> Engine:
        require("onnx")
        return onnx_engine(self.weights)

    def vectors(self, texts: Sequence[str]) -> Array:
        """(n, width): of each text the mean of its windows' vectors, of length 1."""
        if self._known is None:
            return self._read(texts)
        fresh = [text for text in dict.fromkeys(texts) if text not in self._known]
        self._known.update(zip(fresh, self._read(fresh), strict=True))
        return np.array([self._known[text] for text in texts]).reshape(len(texts), -1)

    def _read(self, texts: Sequence[str]) -> Array:
        windows, owners = self.tokens.windows(texts)
        found = np.zeros((len(texts), 0))
        for rows in batches(windows):
            read = self._run(*padded([windows[row] for row in rows], self.tokens.padding))
            if read.ndim != 2 or len(read) != len(rows):
                raise ModelError(f"{WEIGHTS} answers {read.shape} for {len(rows)} windows; fetch the model anew")
            found = found if found.shape[1] else np.zeros((len(texts), read.shape[1]))
            np.add.at(found, [owners[row] for row in rows], read)
        return _unit(found)


class FewShot:
    """A fitted fewshot family. `head` has center (D,), weights (D, T + S + V), bias (T,) and (T, S), (T, V) others."""

    learns: ClassVar[bool] = True
    quick: ClassVar[bool] = True
    side_by_side: ClassVar[bool] = False
    as_its_maker: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, codebook: Codebook, sentences: Sentences, head: Mapping[str, np.ndarray]) -> None:
        self.codebook = codebook
        self.sentences = sentences
        self.head = {name: np.asarray(tensor, dtype=np.float32) for name, tensor in head.items()}

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        stances, voices = tuple(self.codebook.stances), tuple(self.codebook.voices)
        T, S, V = len(self.codebook.names), len(stances), len(voices)
        if not len(texts):
            return Probabilities(
                self.codebook.names,
                stances,
                voices,
                np.zeros((0, T)),
                np.zeros((0, T, S)) if stances else None,
                np.zeros((0, T, V)) if voices else None,
            )
        odds = _unit(self.sentences.vectors(texts) - self.head["center"]) @ self.head["weights"].astype(np.float64)
        return Probabilities(
            self.codebook.names,
            stances,
            voices,
            1 / (1 + np.exp(-(odds[:, :T] + self.head["bias"]))),
            softmax(odds[:, None, T : T + S] + self.head["stance_bias"]) if stances else None,
            softmax(odds[:, None, T + S :] + self.head["voice_bias"]) if voices else None,
        )

    @classmethod
    def fit(cls, paragraphs: Sequence[Paragraph], codebook: Codebook, seed: int, encoder: str | None = None) -> Self:
        """Fit heads on the vectors of `encoder`, a folder or a name on the Hub; all-MiniLM-L6-v2 by default.

        Nothing is drawn at random, so `seed` changes nothing. Raises AnnotationError where there are fewer than two
        paragraphs, ModelError where PyTorch, transformers or the encoder is missing.
        """
        from capthemes.families.head import regressions

        if len(paragraphs) < 2:
            raise AnnotationError(f"{len(paragraphs)} labelled paragraph(s) cannot train a model; bring at least two")
        sentences = pretrained(encoder)
        vectors = sentences.vectors([paragraph.text for paragraph in paragraphs])
        center = vectors.mean(axis=0)
        X = _unit(vectors - center)
        weights, bias = regressions(X, theme_matrix(paragraphs, codebook.names), C=C)
        columns, head = [weights], {"center": center, "bias": bias}
        for part, values in (("stance", codebook.stances), ("voice", codebook.voices)):
            rows, theme, given = label_indices(paragraphs, codebook.names, tuple(values), part)
            own = np.eye(len(codebook.names))[theme]
            truth = np.eye(len(values), dtype=bool)[given]
            weights, bias = regressions(np.hstack([X[rows], own]), truth, C=C)
            columns.append(weights[:, : X.shape[1]])
            head[f"{part}_bias"] = weights[:, X.shape[1] :].T + bias
        return cls(codebook, sentences, head | {"weights": np.vstack(columns).T})

    def save(self, folder: Path) -> None:
        (folder / WEIGHTS).write_bytes(self.sentences.weights)
        (folder / TOKENIZER).write_bytes(self.sentences.tokenizer)
        (folder / HEAD).write_bytes(packed({name: self.head[name] for name in sorted(self.head)}))

    @classmethod
    def load(cls, folder: Path, codebook: Codebook) -> Self:
        """Raises ModelError for files that do not fit together or hold more than weights and standard operators."""
        T, S, V = len(codebook.names), len(codebook.stances), len(codebook.voices)
        shapes: dict[str, tuple[Shape, str]] = {
            "center": ((None,), "float32"),
            "weights": ((None, T + S + V), "float32"),
            "bias": ((T,), "float32"),
            "stance_bias": ((T, S), "float32"),
            "voice_bias": ((T, V), "float32"),
        }
        head = read_tensors(folder / HEAD, shapes, ENDINGS[".safetensors"])
        if len(head["center"]) != len(head["weights"]):
            raise ModelError(f"{folder / HEAD}: center and weights must be as long; fetch the model anew")
        weights, tokenizer = (read_bytes(folder / name, ENDINGS[Path(name).suffix]) for name in (WEIGHTS, TOKENIZER))
        graph.check(weights, INPUTS, OUTPUTS)
        if find_spec("tokenizers") is None:
            require("onnx")
        sentences = Sentences(weights, tokenizer)
        sentences.tokens  # noqa: B018
        return cls(codebook, sentences, head)


@cache
def pretrained(encoder: str | None) -> Sentences:
    """The encoder to fit on, made once, which remembers what it read: folds and learning curves read texts again.

    Raises ModelError where PyTorch, transformers or the encoder is missing.
    """
    require("training")
    from capthemes.families.encoder import sentence_encoder

    return Sentences(*sentence_encoder(encoder), remember=True)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
