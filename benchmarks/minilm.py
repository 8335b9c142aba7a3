"""all-MiniLM-L6-v2 for peers, as it comes or with the glossary's Chinese words that our own encoder is given."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from capthemes.families.encoder import _pretrained, _with_chinese
from capthemes.families.tokens import Tokens, batches, padded, segmented
from capthemes.records import Array


class Encoder:
    """Reads texts and token ids to the mean of the last layer; a text that was read once is remembered."""

    def __init__(self, chinese: bool) -> None:
        serialised, self.body = _pretrained(None)
        if chinese:
            serialised, self.body = _with_chinese(serialised, self.body)
        self.body.eval()
        self.tokens = Tokens(serialised)
        self.cls, self.sep = self.tokens.tokenizer.encode("").ids
        self._read: dict[str, Array] = {}

    def spaced(self, text: str) -> str:
        """The text with spaces around Chinese words, where the encoder has them."""
        return segmented(text, self.tokens.words) if self.tokens.words else text

    def first_windows(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text's first 256 tokens."""
        windows, owners = self.tokens.windows(texts)
        first = dict(reversed(list(zip(owners, windows, strict=True))))
        return [first[row] for row in range(len(texts))]

    def read(self, texts: Sequence[str]) -> Array:
        """(n, 384) of length 1."""
        if unread := [text for text in dict.fromkeys(texts) if text not in self._read]:
            vectors = self.read_ids(self.first_windows(unread))
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
            self._read.update(zip(unread, vectors, strict=True))
        return np.stack([self._read[text] for text in texts])

    def read_ids(self, windows: Sequence[Sequence[int]]) -> Array:
        found = np.zeros((len(windows), self.body.config.hidden_size))
        with torch.inference_mode():
            for rows in batches(windows):
                found[rows] = self.pooled([windows[row] for row in rows]).double().numpy()
        return found

    def pooled(self, windows: Sequence[Sequence[int]]) -> Any:
        """The mean over the tokens, as a tensor."""
        ids, mask = map(torch.from_numpy, padded(windows, self.tokens.padding))
        hidden = self.body(input_ids=ids, attention_mask=mask).last_hidden_state
        return (hidden * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
