"""The short form of `python -m benchmarks coverage`."""

import math

import pytest
from benchmarks import coverage

RUNS = 300
LUCK = 2 * math.sqrt(0.93 * 0.07 / RUNS)


@pytest.mark.parametrize(
    ("design", "shifted", "prevalence", "labels"),
    [
        ("paragraphs", True, 0.02, 100),
        ("paragraphs", True, 0.05, 1000),
        ("strata", True, 0.1, 300),
        ("documents", True, 0.1, 1000),
    ],
)
def test_intervals_hold_the_true_share_where_counts_are_far_off(design, shifted, prevalence, labels):
    found = coverage.cover(design, shifted, prevalence, labels, RUNS)
    assert found.counted_error > 0.15
    assert min(found.adjusted, found.powered) >= 0.93 - LUCK
    assert found.stance is None or found.stance >= 0.93 - LUCK


@pytest.mark.skipif(not coverage.RESULTS.exists(), reason="coverage has not been measured yet")
def test_the_table_shows_what_was_measured_last():
    sheet = coverage.SHEET.read_text(encoding="utf-8")
    assert coverage.rendered(sheet) == sheet
