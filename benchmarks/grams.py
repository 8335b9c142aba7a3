"""The linear family's n-grams as they are spelled, for models whose features are to be read."""

from collections.abc import Iterator

from capthemes.families.ngrams import ngrams


def spelled(text: str) -> Iterator[str]:
    """The n-grams of a text in order, in lower case; words of a pair are parted by a space."""
    data = text.encode("utf-8", "replace")
    for gram in ngrams(data):
        yield " ".join(data[gram.start : gram.stop].decode().lower().split())
