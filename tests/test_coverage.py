"""The short form of `python -m benchmarks coverage`, and sheets that are not stale."""

import math

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
    ],
)
def test_intervals_hold_the_true_share_where_counts_are_far_off(design, shifted, prevalence, labels):
    found = coverage.cover(design, shifted, prevalence, labels, RUNS)
    assert found.counted_error > 0.15
    assert min(found.adjusted, found.powered) >= 0.93 - LUCK
    assert found.stance is None or found.stance >= 0.93 - LUCK


@pytest.mark.parametrize("measured", [coverage, sure])
def test_the_tables_show_what_was_measured_last(measured):
    sheet = measured.SHEET.read_text(encoding="utf-8")
    assert measured.rendered(sheet) == sheet
