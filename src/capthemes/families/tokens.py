"""Tokens: what an encoder reads of a text, in windows, and Chinese words where its vocabulary has them."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from capthemes.errors import ModelError
from capthemes.text import compatible, is_han, sound
from capthemes.untrusted import parse

WINDOW = 256  # tokens read at once; a longer paragraph is read in several windows
TOKENS = 1 << 12  # in one batch, padding included
LONGEST_WORD = 6  # ideographs in a word of the vocabulary
# The regular expressions of encoders' tokenizers in transformers that take time in proportion to the text.
LINEAR = frozenset((" {2,}", r"\s+", r"\s{2,}|[\n\r\t]", r"\n", r"[\n\r\t]"))


class Tokens:
    """A tokenizer that also knows Chinese words: the longest one of its vocabulary, again and again.

    `content` is what `serialised` says, where it has been parsed. Raises ValueError for one that could take a text
    apart slowly, or make it grow without bound.
    """

    def __init__(self, serialised: str, content: Any = None) -> None:
        self.serialised = serialised
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ModelError("the transformer family needs tokenizers: pip install 'capthemes[transformer]'") from error
        content = json.loads(serialised) if content is None else content
        _check(content)  # before an encoder is trained on, too
        self.tokenizer = Tokenizer.from_str(serialised)
        self.tokenizer.no_padding()
        self.tokenizer.encode_special_tokens = True  # "[SEP]" in a text is three signs like others
        self.tokenizer.enable_truncation(WINDOW)
        self.padding = next(
            (i for name in ("[PAD]", "<pad>") if (i := self.tokenizer.token_to_id(name)) is not None), 0
        )
        self.words = _words(content)

    def windows(self, texts: Sequence[str]) -> tuple[list[list[int]], list[int]]:
        """Token ids of every window of WINDOW tokens, and for each the position of the text that it is from."""
        prepared = [segmented(compatible(text), self.words) if self.words else sound(text) for text in texts]
        windows: list[list[int]] = []
        owners: list[int] = []
        for owner, encoded in enumerate(self.tokenizer.encode_batch(prepared)):
            for window in (encoded, *encoded.overflowing):
                windows.append(window.ids)
                owners.append(owner)
        return windows, owners


def read_tokens(content: bytes) -> Tokens:
    """The tokenizer of a file.

    Raises ModelError for one that is damaged, that could take a text apart slowly, or make it grow without bound.
    """
    try:
        return Tokens(content.decode("utf-8"), parse(content))
    except (KeyboardInterrupt, SystemExit, ModelError):
        raise
    except BaseException as error:  # tokenizers raises nothing narrower than Exception, and panics that are none
        raise ModelError(f"tokenizer.json: cannot be used ({error}); fetch the model anew") from error


def _check(part: Any) -> None:
    """Raise ValueError for a regular expression that is not known to be linear, or a replacement longer than a sign."""
    if isinstance(part, dict):
        pattern = part.get("pattern")
        if isinstance(pattern, dict) and "Regex" in pattern and str(pattern["Regex"]) not in LINEAR:
            raise ValueError(f"its regular expression {pattern!r:.80} is not known to be linear")
        added = part.get("prepend" if part.get("type") == "Prepend" else "content", "")
        if part.get("type") in ("Replace", "Prepend") and not (isinstance(added, str) and len(added) <= 1):
            raise ValueError(f"it puts {added!r:.80} into the text, at most one character may come")
    if isinstance(part, dict | list):
        for key, inner in part.items() if isinstance(part, dict) else enumerate(part):
            if key != "vocab":
                _check(inner)


def _words(serialised: dict[str, Any]) -> frozenset[str]:
    """The words of ideographs, where the tokenizer was given them: such a one does not part ideographs itself."""
    parts = (serialised.get("normalizer") or {}).get("handle_chinese_chars", True)
    if serialised["model"]["type"] != "WordPiece" or parts:
        return frozenset()
    return frozenset(word for word in serialised["model"]["vocab"] if len(word) > 1 and all(map(is_han, word)))


def segmented(text: str, words: frozenset[str]) -> str:
    """The text with spaces around Chinese words: from the left, the longest word there is, else one ideograph."""
    pieces: list[str] = []
    start = 0
    while start < len(text):
        if not is_han(text[start]):
            stop = start + 1
            while stop < len(text) and not is_han(text[stop]):
                stop += 1
        else:
            stop = start + 1
            for length in range(min(LONGEST_WORD, len(text) - start), 1, -1):
                if text[start : start + length] in words:
                    stop = start + length
                    break
        pieces.append(text[start:stop])
        start = stop
    return " ".join(pieces)


def batches(windows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Rows of windows of like length, so that little is padded: at most TOKENS tokens together."""
    rows: list[int] = []
    for row in sorted(range(len(windows)), key=lambda row: len(windows[row])):
        if rows and (len(rows) + 1) * len(windows[row]) > TOKENS:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def padded(windows: Sequence[Sequence[int]], padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Token ids and mask, both (n, longest), of int64."""
    mask = np.zeros((len(windows), max(map(len, windows))), dtype=np.int64)
    ids = np.full_like(mask, padding)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    return ids, mask
