"""Write models/NAME/golden.json, the answers that tests hold every bundled model to: python tests/golden.py"""

import json
from pathlib import Path

from capthemes import model
from capthemes.records import Predictions
from capthemes.store import home, write_text
from capthemes.text import paragraphs

EXAMPLES = Path(__file__).parents[1] / "examples"
ODD = ["", "\x00", "😀", "\ud800", "产能过剩 overcapacity", "a b " * 500]


def texts() -> list[str]:
    """The paragraphs of the examples, and some odd ones."""
    files = sorted(path for path in EXAMPLES.iterdir() if path.suffix in (".md", ".txt"))
    return [p for f in files for p in paragraphs(f.read_text(encoding="utf-8"), f.suffix == ".md")] + ODD


def answers(predictions: Predictions) -> list[dict[str, list]]:
    return [
        {"labels": [[x.theme, x.stance, x.voice] for x in labels], "theme": [round(float(p), 9) for p in row]}
        for labels, row in zip(predictions, predictions.probabilities.theme, strict=True)
    ]


if __name__ == "__main__":
    for name in model.names():
        rows = ",\n".join(map(json.dumps, answers(model.load(name).predict(texts()))))
        write_text(home("models") / name / "golden.json", f"[\n{rows}\n]\n")
