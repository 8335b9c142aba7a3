import re
from pathlib import Path

import numpy as np
import yaml

from capthemes.codebook import Codebook
from capthemes.records import Probabilities
from capthemes.text import HAN, normalise

DICTIONARY = Path(__file__).with_name("dictionary.yaml")


def pattern(glob):
    """A glob of whole words, as quanteda reads it; Chinese is found anywhere."""
    if re.search(f"[{HAN}]", glob):
        return re.escape(glob)
    return r"\b" + re.escape(glob).replace(r"\*", r"\w*").replace(r"\ ", r"[\s-]+") + r"\b"


def fit(training, settings):
    book = Codebook.load()
    globs = yaml.safe_load(DICTIONARY.read_text(encoding="utf-8"))
    patterns = [re.compile("|".join(map(pattern, globs[name]))) for name in book.names]

    def predict(texts):
        hits = np.array([[len(p.findall(text)) for p in patterns] for text in map(normalise, texts)], dtype=float)
        if settings["per_length"]:
            tokens = [len(re.findall(rf"[{HAN}]|\w+", normalise(text))) for text in texts]
            hits *= 100 / np.maximum(tokens, 1)[:, None]
        return Probabilities(book.names, (), (), hits / (hits + 1))

    return predict
