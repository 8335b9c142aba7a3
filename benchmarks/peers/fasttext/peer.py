import re
import tempfile
from pathlib import Path

import numpy as np

from capthemes.codebook import Codebook
from capthemes.records import Probabilities
from capthemes.text import HAN, normalise

MARK = "__label__"
NONE = "none"  # a paragraph without a theme is still one to learn from


def line(text):
    return " ".join(re.sub(rf"([{HAN}]|[^\w\s])", r" \1 ", normalise(text)).split())


def fit(training, settings):
    import fasttext

    names = Codebook.load().names
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        rows = (" ".join(MARK + name for name in [x.theme for x in p.labels] or [NONE]) for p in training)
        path.write_text("".join(f"{row} {line(p.text)}\n" for row, p in zip(rows, training, strict=True)))
        model = fasttext.train_supervised(str(path), loss="ova", thread=1, seed=0, verbose=0, **settings)

    def predict(texts):
        theme = np.zeros((len(texts), len(names)))
        for row, text in enumerate(texts):
            # predict() of the wheel stumbles over NumPy 2; what it wraps does not
            for p, label in model.f.predict(line(text) + "\n", -1, 0.0, "strict"):
                if (name := label.removeprefix(MARK)) in names:
                    theme[row, names.index(name)] = min(p, 1.0)
        return Probabilities(names, (), (), theme)

    return predict
