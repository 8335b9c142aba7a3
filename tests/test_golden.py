"""Every bundled model answers as it did when its golden.json was written (python tests/golden.py), and is small."""

import json
import re

import pytest

from capthemes import model
from capthemes.store import home
from golden import answers, texts


@pytest.mark.parametrize("name", model.names())
def test_answers_are_the_golden_ones(name):
    golden = json.loads((home("models") / name / "golden.json").read_text(encoding="utf-8"))
    found = answers(model.load(name).predict(texts()))
    assert len(found) == len(golden)
    for now, then in zip(found, golden, strict=True):
        assert now["labels"] == then["labels"]
        assert now["theme"] == pytest.approx(then["theme"], abs=1e-7)


@pytest.mark.parametrize(("name", "most"), [("fast", 16_000_000), ("accurate", 60_000_000)])
def test_a_model_is_no_larger_than_was_promised(name, most):
    """Bytes of all files in its folder."""
    assert sum(path.stat().st_size for path in (home("models") / name).iterdir()) <= most


@pytest.mark.parametrize("path", sorted(home("models").glob("*/mistakes.md")), ids=lambda path: path.parent.name)
def test_mistakes_were_read_of_this_very_model(path):
    """Written by hand, they go stale when a model is trained anew."""
    first, text = path.read_text(encoding="utf-8").split("\n", 1)
    assert first == f"# Ten mistakes of {model.load(path.parent).id}"
    assert len(re.findall(r"(?m)^\d+\. `", text)) == 10
