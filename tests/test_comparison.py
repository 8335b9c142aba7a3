"""Comparisons: by hand, against scipy and statsmodels' definitions, and A against A a thousand times."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control, permutation_test

from capthemes.comparison import PERMUTATIONS, compared, differences, holm
from capthemes.outcomes import f1
from capthemes.records import Label, Paragraph

RUNS = 1000


def paragraph(id: str, *themes: str, doc: str | None = None) -> Paragraph:
    return Paragraph(id, "", tuple(Label(theme) for theme in themes), {"doc": doc})


def rater(rng, truth, difficulty):
    """A labelling that errs by how hard the document is, the same for all raters of it."""
    return truth ^ (rng.random(truth.shape) < difficulty)


def sums(truth, found, documents):
    """(documents, 3) counts."""
    counts = np.stack([truth & found, ~truth & found, truth & ~found], axis=2).sum(axis=1).astype(float)
    summed = np.zeros((documents.max() + 1, 3))
    np.add.at(summed, documents, counts)
    return summed


def test_a_against_a_a_thousand_times_is_seldom_told_apart():
    rng = np.random.default_rng(0)
    p, outside, families = [], 0, 0
    for run in range(RUNS):
        documents = np.sort(rng.integers(0, 60, size=150))
        truth = rng.random((150, 3)) < 0.3
        difficulty = rng.uniform(0.05, 0.4, size=60)[documents][:, None]
        both = np.stack([sums(truth, rater(rng, truth, difficulty), documents) for _ in range(2)])
        found = compared(both, f1, seed=run, permutations=400)
        p.append(found.p)
        outside += not found.low <= 0 <= found.high
    assert np.mean(np.array(p) <= 0.05) <= 0.06
    assert np.mean(np.array(p) <= 0.05) >= 0.03  # and the test is not asleep
    assert outside / RUNS <= 0.08  # percentile intervals of 60 documents are a little narrow
    families = [holm(p[start : start + 5])[0:5].min() <= 0.05 for start in range(0, RUNS, 5)]
    assert np.mean(families) <= 0.09  # of 200 families of five; 0.05 with three standard errors


def test_a_better_one_is_told_apart():
    rng = np.random.default_rng(1)
    documents, truth = np.arange(200) // 2, rng.random((200, 3)) < 0.3
    both = np.stack([sums(truth, rater(rng, truth, share), documents) for share in (0.2, 0.05)])
    found = compared(both, f1)
    assert found.low > 0
    assert found.p == pytest.approx(1 / (1 + PERMUTATIONS))
    mirrored = compared(both[::-1], f1)
    assert (mirrored.value, mirrored.high) == pytest.approx((-found.value, -found.low))


def test_the_permutation_test_is_scipys():
    rng = np.random.default_rng(2)
    a, b = rng.random((2, 25))
    both = np.stack([np.stack([side, np.ones(25)], axis=1) for side in (a, b)])
    found = compared(both, lambda s: s[..., 0] / s[..., 1])
    exact = permutation_test(
        (b, a), lambda x, y: np.mean(x) - np.mean(y), permutation_type="samples", n_resamples=20_000, rng=3
    )
    assert found.value == pytest.approx(exact.statistic)
    assert found.p == pytest.approx(exact.pvalue, abs=0.02)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]).size == 0
    p = np.random.default_rng(4).random(20) * 0.1
    assert (holm(p) >= false_discovery_control(p) - 1e-12).all()  # stricter than Benjamini and Hochberg


def test_differences_by_hand():
    gold = [paragraph("1", "a"), paragraph("2", "a", "b"), paragraph("3"), paragraph("4", "b")]
    a = [paragraph("1", "a"), paragraph("2", "a"), paragraph("3"), paragraph("4")]
    b = [paragraph("1", "a"), paragraph("2", "a", "b"), paragraph("3", "a"), paragraph("4", "b")]
    found = differences(gold, a, b, ("a", "b", "c"))
    micro = found["theme micro-F1"]
    assert (micro.a, micro.b) == pytest.approx((2 * 2 / (2 + 4), 2 * 4 / (5 + 4)))
    assert found["exact set of themes"].value == pytest.approx(0.75 - 0.5)
    assert found["F1 of b"].value == 1
    assert found["F1 of a"].value == pytest.approx(0.8 - 1)
    assert found["theme macro-F1"].b == pytest.approx((0.8 + 1) / 2)
    assert "F1 of c" not in found  # gold never has it
    assert "theme and stance, F1" not in found
    assert all(d.corrected >= d.p for d in found.values())


def test_a_theme_that_a_resample_lacks_is_left_out_of_its_macro_f1():
    gold = [paragraph(str(i), "a") for i in range(59)] + [paragraph("59", "b")]
    a = [paragraph(str(i)) for i in range(60)]
    found = differences(gold, a, gold, ("a", "b"))["theme macro-F1"]
    assert (found.a, found.b, found.low, found.high) == (0, 1, 1, 1)


def test_one_document_tells_nothing_apart():
    gold = [paragraph(str(i), "a", doc="d") for i in range(30)]
    found = differences(gold, [paragraph(str(i)) for i in range(30)], gold, ("a",))["theme micro-F1"]
    assert (found.value, found.p) == (1, 1)
