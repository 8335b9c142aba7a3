"""The transformer family: an encoder reads a paragraph, and each theme looks over its tokens with a gaze of its own.

Theme, stance and voice are read from what the theme's gaze gathers, so the stance toward one theme comes
from the words about it. One ONNX file holds the weights, in half precision; ONNX Runtime runs it on a
processor, PyTorch takes the same weights to a GPU.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from capthemes.codebook import Codebook
from capthemes.errors import ModelError
from capthemes.families import graph
from capthemes.families.tokens import Tokens, batches, padded, read_tokens
from capthemes.manifest import ENDINGS
from capthemes.records import Array, Paragraph, Probabilities, softmax
from capthemes.untrusted import parse, read_bytes

WEIGHTS = "transformer.onnx"
TOKENIZER = "tokenizer.json"
SHAPE = "transformer.json"
INPUTS, OUTPUTS = ("input_ids", "attention_mask"), ("logits",)
# What each engine needs, and training, with the extra that brings it.
NEEDS = {
    "onnx": ("transformer", ("tokenizers", "onnxruntime")),
    "torch": ("train", ("tokenizers", "torch", "transformers", "onnx")),
    "training": ("train", ("tokenizers", "torch", "transformers", "onnx", "onnxscript")),
}

Engine = Callable[[np.ndarray, np.ndarray], Array]  # token ids and mask, both (n, L), to logits (n, T, 1 + S + V)


class Transformer:
    """A fitted transformer family: `files` are its three data files by name, `engine` "onnx", "torch" or None.

    Without an engine named, PyTorch is taken where there is a GPU, else ONNX Runtime where it is installed.
    """

    learns: ClassVar[bool] = True
    quick: ClassVar[bool] = False
    side_by_side: ClassVar[bool] = False
    as_its_maker: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, codebook: Codebook, files: Mapping[str, bytes], engine: str | None = None) -> None:
        self.codebook = codebook
        self.files = dict(files)
        self.engine = engine

    @cached_property
    def tokens(self) -> Tokens:
        return read_tokens(self.files[TOKENIZER])

    @cached_property
    def _run(self) -> Engine:
        return _engine(self.engine or _best_engine(), self.files)

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        stances, voices = tuple(self.codebook.stances), tuple(self.codebook.voices)
        T, S, V = len(self.codebook.names), len(stances), len(voices)
        windows, owners = self.tokens.windows(texts)
        logits = np.zeros((len(windows), T, 1 + S + V))
        for rows in batches(windows):
            found = self._run(*padded([windows[row] for row in rows], self.tokens.padding))
            if found.shape != logits[rows].shape:
                raise ModelError(f"{WEIGHTS} answers {found.shape}, not {logits[rows].shape}; fetch the model anew")
            logits[rows] = found
        chosen = _clearest_window(logits, np.array(owners, dtype=np.intp), len(texts))
        return Probabilities(
            self.codebook.names,
            stances,
            voices,
            1 / (1 + np.exp(-chosen[:, :, 0])),
            softmax(chosen[:, :, 1 : 1 + S]) if stances else None,
            softmax(chosen[:, :, 1 + S :]) if voices else None,
        )

    @classmethod
    def fit(cls, paragraphs: Sequence[Paragraph], codebook: Codebook, seed: int, encoder: str | None = None) -> Self:
        """Fine-tune `encoder`, a folder or a name on the Hub; all-MiniLM-L6-v2 by default.

        It learns from the first window of each paragraph. Raises AnnotationError where there are fewer than two
        paragraphs, ModelError where PyTorch, transformers or the encoder is missing.
        """
        require("training")
        from capthemes.families.encoder import fine_tune

        weights, tokenizer, shape = fine_tune(paragraphs, codebook, seed, encoder)
        return cls(codebook, {WEIGHTS: weights, TOKENIZER: tokenizer, SHAPE: shape})

    def save(self, folder: Path) -> None:
        for name, content in self.files.items():
            (folder / name).write_bytes(content)

    @classmethod
    def load(cls, folder: Path, codebook: Codebook, engine: str | None = None) -> Self:
        """Raises ModelError for files that do not fit together or hold more than weights and standard operators."""
        files = {name: read_bytes(folder / name, ENDINGS[Path(name).suffix]) for name in (WEIGHTS, TOKENIZER, SHAPE)}
        family = cls(codebook, files, engine)
        if find_spec("tokenizers") is None:
            require("onnx")
        family.tokens  # noqa: B018
        try:
            shape = parse(files[SHAPE])
            have = tuple(shape[part] for part in ("themes", "stances", "voices"))
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{folder / SHAPE}: cannot be read ({error}); fetch the model anew") from error
        T, given = len(codebook.names), len(codebook.stances) + len(codebook.voices)
        if have != (T, len(codebook.stances), len(codebook.voices)):
            raise ModelError(f"{folder / SHAPE}: {have!r:.80} themes, stances, voices are not the codebook's")
        shapes = graph.check(files[WEIGHTS], INPUTS, OUTPUTS)
        if shapes.get("theme_bias") != (T,) or (given and shapes.get("given_bias") != (T, given)):
            raise ModelError(f"{folder / WEIGHTS}: its weights are not for {T} themes and {given} stances and voices")
        return family


def _clearest_window(logits: Array, owners: np.ndarray, n: int) -> Array:
    """(n, T, K): for each text and theme, the logits of the window that shows the theme most."""
    chosen = np.full((n, *logits.shape[1:]), -np.inf)
    for window, owner in zip(logits, owners, strict=True):
        clearer = window[:, 0] > chosen[owner, :, 0]
        chosen[owner, clearer] = window[clearer]
    return chosen


def _best_engine() -> str:
    if all(map(find_spec, NEEDS["torch"][1])):
        import torch

        if torch.cuda.is_available() or not find_spec("onnxruntime"):
            return "torch"
    return "onnx"


def _engine(name: str, files: Mapping[str, bytes]) -> Engine:
    if name not in ("onnx", "torch"):
        raise ModelError(f"no engine {name!r}; there are: onnx, torch")
    require(name)
    if name == "torch":
        from capthemes.families.encoder import torch_engine

        return torch_engine(files[WEIGHTS], files[SHAPE])
    return onnx_engine(files[WEIGHTS])


def onnx_engine(weights: bytes, threads: int | None = None) -> Engine:
    """A network's answers by ONNX Runtime on a processor, by default on the threads that `allowed_threads` tells.

    Raises ModelError for weights that it cannot run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or allowed_threads()
    # Threads that wait for work sleep: where another process has the second core, spinning costs a fifth of the speed.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has an exception for each of its states, and no common one
        raise ModelError(f"the ONNX weights cannot be run ({error}); fetch the model anew") from error

    def run(ids: np.ndarray, mask: np.ndarray) -> Array:
        try:
            logits: Array = session.run(None, dict(zip(INPUTS, (ids, mask), strict=True)))[0].astype(np.float64)
        except Exception as error:  # as above
            raise ModelError(f"the ONNX weights cannot be run ({error}); fetch the model anew") from error
        return logits

    return run


def allowed_threads() -> int:
    """What OMP_NUM_THREADS says, which joblib sets in its workers, or 0, for one thread on each core."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdecimal() else 0


def require(use: str) -> None:
    """Raise ModelError, with the pip line, where a package is missing that an engine or training needs."""
    extra, packages = NEEDS[use]
    if missing := [package for package in packages if find_spec(package) is None]:
        raise ModelError(f"an encoder needs {', '.join(missing)} for {use}: pip install 'capthemes[{extra}]'")
