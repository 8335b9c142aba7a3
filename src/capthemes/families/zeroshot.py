"""The zero-shot family: a language-inference model is asked the codebook's own sentences; nothing is learned.

The paragraph is the premise. "This is about ..." each theme's entry is a hypothesis, and so is each stance
toward the theme's target and each voice. The model is pointed at, by Hub name or path: its weights stay where
they are, and the fingerprint does not cover them; so who loads it says that the model is trusted. It reads the
first 512 tokens and runs on a processor.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from capthemes.codebook import Codebook, Theme
from capthemes.errors import ModelError
from capthemes.families.pretrained import check_encoder
from capthemes.manifest import LARGEST
from capthemes.records import Array, Paragraph, Probabilities, softmax
from capthemes.text import sound
from capthemes.untrusted import read_json

POINTER = "zeroshot.json"
BATCH = 16  # pairs of premise and hypothesis
TOKENS = 512


class ZeroShot:
    """`encoder` is the folder or the Hub name of a sequence classifier with an entailment label."""

    learns: ClassVar[bool] = False
    quick: ClassVar[bool] = False
    side_by_side: ClassVar[bool] = False
    as_its_maker: ClassVar[Mapping[str, Any]] = {"trusted": True}

    def __init__(self, codebook: Codebook, encoder: str) -> None:
        self.codebook = codebook
        self.encoder = encoder

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """A theme's probability is that of entailment against contradiction; stances and voices share theirs out."""
        book = self.codebook
        T, S, V = len(book.names), len(book.stances), len(book.voices)
        asked = [list(hypotheses(theme, book)) for theme in book.themes]
        pairs = [(text, hypothesis) for text in texts for theme in asked for hypothesis in theme]
        odds = self._entailment(pairs).reshape(len(texts), T, 1 + S + V)  # log-odds of entailment over contradiction
        return Probabilities(
            book.names,
            tuple(book.stances),
            tuple(book.voices),
            1 / (1 + np.exp(-odds[:, :, 0])),
            softmax(odds[:, :, 1 : 1 + S]) if book.stances else None,
            softmax(odds[:, :, 1 + S :]) if book.voices else None,
        )

    @classmethod
    def fit(cls, paragraphs: Sequence[Paragraph], codebook: Codebook, seed: int, encoder: str | None = None) -> Self:
        """Nothing is fitted. Raises ModelError where no `encoder` is named."""
        if encoder is None:
            raise ModelError("the zeroshot family needs a language-inference model: --encoder FOLDER or a Hub name")
        return cls(codebook, str(Path(encoder).resolve()) if Path(encoder).is_dir() else encoder)

    def save(self, folder: Path) -> None:
        (folder / POINTER).write_text(json.dumps({"encoder": self.encoder}) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, codebook: Codebook, trusted: Sequence[str] | bool = ()) -> Self:
        """Load the pointer; `trusted` names the model that it may point to, True takes any.

        Raises ModelError for another, naming it: it lies outside the folder, perhaps on the network.
        """
        path = folder / POINTER
        encoder = read_json(path, LARGEST)
        encoder = encoder.get("encoder") if isinstance(encoder, dict) else None
        if not isinstance(encoder, str):
            raise ModelError(f"{path}: {encoder!r:.60} is no name of a model; save the model anew")
        if trusted is not True and encoder not in (trusted or ()):
            raise ModelError(
                f"{path}: points to the model {encoder!r:.200}, outside its folder; if you know it: "
                f"load(..., trusted=[{encoder!r:.200}]), or --trusted"
            )
        return cls(codebook, encoder)

    @cached_property
    def _classifier(self) -> tuple[Any, Any, int, int]:
        """Tokenizer, network, and the positions of entailment and contradiction among its labels."""
        try:
            import torch  # noqa: F401
            from transformers import AutoModelForSequenceClassification, AutoTokenizer
        except ImportError as error:
            raise ModelError(f"the zeroshot family needs {error.name}: pip install 'capthemes[train]'") from error
        check_encoder(self.encoder)
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.encoder)
            network = AutoModelForSequenceClassification.from_pretrained(self.encoder, use_safetensors=True).eval()
        except (OSError, ValueError) as error:
            raise ModelError(
                f"model {self.encoder!r} cannot be loaded ({error}); give a folder or a Hub name"
            ) from error
        labels = {label.lower(): position for position, label in network.config.id2label.items()}
        entailed = next((labels[name] for name in labels if name.startswith("entail")), None)
        refuted = next((labels[name] for name in labels if name.startswith(("contra", "not_entail"))), None)
        if entailed is None or refuted is None:
            raise ModelError(f"model {self.encoder!r} tells no entailment; its labels are: {', '.join(labels)}")
        return tokenizer, network, entailed, refuted

    def _entailment(self, pairs: Sequence[tuple[str, str]]) -> Array:
        import torch

        tokenizer, network, entailed, refuted = self._classifier
        odds = np.zeros(len(pairs))
        for start in range(0, len(pairs), BATCH):
            premises, asked = zip(*pairs[start : start + BATCH], strict=True)
            encoded = tokenizer(
                [sound(premise) for premise in premises],
                list(asked),
                truncation="only_first",
                max_length=TOKENS,
                padding=True,
                return_tensors="pt",
            )
            with torch.inference_mode():
                logits = network(**encoded).logits.double().numpy()
            odds[start : start + len(asked)] = logits[:, entailed] - logits[:, refuted]
        return odds


def hypotheses(theme: Theme, codebook: Codebook) -> Iterator[str]:
    """The sentences asked of a theme: that it applies, then one for each stance, then one for each voice."""
    yield f"This is about {theme.name.replace('_', ' ')}: {theme.covers}."
    for stance, meaning in codebook.stances.items():
        yield f"The stance toward {theme.target} is {stance}: it {meaning}"
    for voice, meaning in codebook.voices.items():
        yield f"The voice on {theme.name.replace('_', ' ')} is {voice}: {meaning}"
