"""Models of others through `transformers`: a Hub name or a folder, read as a family by what its labels say.

A model of language inference (it has an entailment label) is asked the codebook's sentences. A model of text
classification must have the codebook's themes as its labels; it says nothing of stance or voice.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from capthemes.codebook import Codebook
from capthemes.errors import ModelError
from capthemes.families.pretrained import check_encoder
from capthemes.families.zeroshot import TOKENS, ZeroShot
from capthemes.records import Array, Probabilities
from capthemes.text import sound

BATCH = 16  # texts


def hub_family(name: str, codebook: Codebook) -> "ZeroShot | Classifier":
    """The family that a model can be read as. Raises ModelError where it is neither, or cannot be loaded."""
    try:
        from transformers import AutoConfig
    except ImportError as error:
        raise ModelError("models of the Hub need transformers: pip install 'capthemes[train]'") from error
    check_encoder(name)
    try:
        labels = [str(label) for _, label in sorted(AutoConfig.from_pretrained(name).id2label.items())]
    except (OSError, ValueError) as error:
        raise ModelError(f"model {name!r} cannot be loaded ({error}); give a folder or a Hub name") from error
    if any(label.lower().startswith("entail") for label in labels):
        return ZeroShot.fit([], codebook, 0, encoder=name)
    as_themes = [label.strip().lower().replace(" ", "_") for label in labels]
    if not set(as_themes) & set(codebook.names):
        raise ModelError(
            f"model {name!r} answers {', '.join(labels[:5])} ...: neither entailment nor themes of the codebook; "
            "give its id2label the themes' names, or write a function that turns its labels into themes"
        )
    return Classifier(codebook, name, as_themes)


class Classifier:
    """A sequence classifier whose labels are themes; a theme that it lacks has probability 0.

    `one_each` is whether one label applies to a text: as transformers' own pipeline takes it, where the config does
    not say that several may.
    """

    def __init__(self, codebook: Codebook, name: str, labels: Sequence[str]) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.codebook = codebook
        self.labels = tuple(labels)
        self._tokenizer: Any = AutoTokenizer.from_pretrained(name)
        self._network: Any = AutoModelForSequenceClassification.from_pretrained(name, use_safetensors=True).eval()
        several = self._network.config.problem_type in ("multi_label_classification", "regression")
        self.one_each = not several and len(self.labels) > 1

    def predict_proba(self, texts: Sequence[str]) -> Probabilities:
        """Each label's probability by itself, or shared out where one label applies."""
        return self._themes(self._chances(texts))

    def predict_one(self, texts: Sequence[str]) -> tuple[Probabilities, list[list[str]]]:
        """The probabilities, and for each text the theme that its most probable label names, if it names one."""
        chances = self._chances(texts)
        likeliest = [self.labels[place] for place in chances.argmax(axis=1)]
        return self._themes(chances), [[name] if name in self.codebook.names else [] for name in likeliest]

    def _themes(self, chances: Array) -> Probabilities:
        theme = np.zeros((len(chances), len(self.codebook.names)))
        for place, name in enumerate(self.labels):
            if name in self.codebook.names:
                theme[:, self.codebook.names.index(name)] = chances[:, place]
        return Probabilities(self.codebook.names, (), (), theme)

    def _chances(self, texts: Sequence[str]) -> Array:
        """(n, labels)."""
        import torch

        found = np.zeros((len(texts), len(self.labels)))
        for start in range(0, len(texts), BATCH):
            batch = [sound(text) for text in texts[start : start + BATCH]]
            encoded = self._tokenizer(batch, truncation=True, max_length=TOKENS, padding=True, return_tensors="pt")
            with torch.inference_mode():
                logits = self._network(**encoded).logits.double()
            shared = torch.softmax(logits, dim=-1) if self.one_each else torch.sigmoid(logits)
            found[start : start + len(batch)] = shared.numpy()
        return found

    def save(self, folder: Path) -> None:
        """Raises ModelError: the model stays where it is."""
        raise ModelError("a classifier of the Hub is scored where it is; it cannot be saved as a model of capthemes")
