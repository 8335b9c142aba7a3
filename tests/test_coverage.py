"""The short form of `python -m benchmarks coverage`, and sheets that are not stale."""

import json
import math
from dataclasses import asdict

import pytest
from benchmarks import coverage, sure

RUNS = 300
LUCK = 2 * math.sqrt(0.93 * 0.07 / RUNS)


@pytest.mark.parametrize(
    ("design", "shifted", "prevalence", "labels"),
    [
        ("paragraphs", True, 0.02, 100),
        ("paragraphs", True, 0.05, 1000),
        ("strata", True, 0.1, 300),
        ("documents", True, 0.1, 1000),
        ("unequal documents", True, 0.1, 1000),
    ],
)
def test_intervals_hold_the_true_share_where_counts_are_far_off(design, shifted, prevalence, labels):
    found = coverage.cover(design, shifted, prevalence, labels, RUNS)
    assert found.counted_error > 0.15
    assert min(found.adjusted, found.powered) >= 0.93 - LUCK
    for held in (found.stance, found.balance, found.documents):
        assert held is None or held >= 0.93 - LUCK
    assert (found.documents is None) == ("documents" not in design)


def test_shares_of_documents_are_shown_where_documents_are_drawn(tmp_path, monkeypatch):
    found = [asdict(coverage.cover(design, False, 0.3, 300, 4)) for design in coverage.DESIGNS]
    (tmp_path / "coverage.json").write_text(json.dumps(found))
    monkeypatch.setattr(coverage, "RESULTS", tmp_path / "coverage.json")
    _, told, unequal, _, head, _, *rows, _ = coverage.rendered("<!-- coverage -->\n<!-- /coverage -->").splitlines()
    assert "for the share of documents with the theme. Counting" in told
    assert unequal.startswith("Unequal documents have 10 paragraphs on average")
    assert head.endswith("| balance: given | holds | documents |")
    assert [row.endswith("| - |") for row in rows] == [True, True, False, False]


@pytest.mark.parametrize("measured", [coverage, sure])
def test_the_tables_show_what_was_measured_last(measured):
    sheet = measured.SHEET.read_text(encoding="utf-8")
    assert measured.rendered(sheet) == sheet
