import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capthemes.intervals import Cell, Interval, correlation, difference, rogan_gladen, share, wilson, within


def cell(truth, predicted=None, size=10**7, mean=0.0, documents=None) -> Cell:
    truth = np.asarray(truth, dtype=float)
    predicted = np.zeros_like(truth) if predicted is None else np.asarray(predicted, dtype=float)
    return Cell(size, truth, predicted, mean, np.arange(len(truth)) if documents is None else np.asarray(documents))


def hits(k: int, n: int) -> list[float]:
    return [1.0] * k + [0.0] * (n - k)


def made(n: int, share: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < share).astype(float)
    return truth, 0.9 * truth + rng.normal(0, 0.2, n)


def test_wilson_is_statsmodels_where_hits_are_not_few():
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for k, n in ((20, 100), (300, 1000), (40, 60)):
        assert wilson(k, n, 1e9) == pytest.approx(proportion.proportion_confint(k, n, method="wilson"), abs=1e-8)


@pytest.mark.parametrize("n", [10, 50, 100, 300])
def test_wilson_holds_every_share_often_enough(n):
    from scipy.stats import binom

    ends = np.array([wilson(k, n, n - 1) for k in range(n + 1)])
    shares = np.linspace(0.001, 0.5, 500)
    inside = (ends[:, :1] <= shares) & (shares <= ends[:, 1:])
    assert (binom.pmf(np.arange(n + 1)[:, None], n, shares) * inside).sum(axis=0).min() > 0.93


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_found_and_mirrors(pair):
    k, n = pair
    low, high = wilson(k, n, n)
    assert 0 <= low <= k / n <= high <= 1
    assert wilson(n - k, n, n) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_ppi_is_ppi_pythons():
    ppi = pytest.importorskip("ppi_py")
    truth, predicted = made(1000, 0.3)
    corpus = made(1_000_000, 0.3, seed=1)[1]
    ours = share([cell(truth, predicted, size=len(corpus), mean=corpus.mean())], powered=True)
    lam = np.cov(truth, predicted)[0, 1] / np.var(predicted, ddof=1)
    low, high = (float(end[0]) for end in ppi.ppi_mean_ci(truth, predicted, corpus, alpha=0.05, lam=lam))
    assert ours.kind == "ppi"
    assert ours.share == pytest.approx((low + high) / 2, abs=1e-6)
    assert ours.high - ours.low == pytest.approx(high - low, rel=0.005)
    tuned = [float(end[0]) for end in ppi.ppi_mean_ci(truth, predicted, corpus, alpha=0.05)]
    assert (ours.low, ours.high) == pytest.approx(tuned, abs=0.001)


def test_predictions_help_only_from_fifty_positives_and_negatives():
    truth, predicted = made(1000, 0.3)
    for k, kind in ((49, "wilson"), (50, "ppi")):
        truth[:] = hits(k, 1000)
        assert share([cell(truth, predicted)], powered=True).kind == kind
        assert share([cell(1 - truth, predicted)], powered=True).kind == kind
    assert share([cell(truth, predicted)], powered=False) == share([cell(truth)], powered=False)


def test_good_predictions_narrow_the_interval_and_useless_ones_do_not_widen_it():
    truth, predicted = made(2000, 0.3)
    widths = [
        (found := share([cell(truth, said, mean=float(said.mean()))], powered=True)).high - found.low
        for said in (predicted, np.random.default_rng(5).random(2000), np.zeros(2000))
    ]
    assert widths[0] < 0.5 * widths[2]
    assert widths[1] <= 1.001 * widths[2]


def test_a_corpus_that_was_labelled_whole_leaves_nothing_open():
    found = share([cell(hits(3, 20), size=20)], powered=True)
    assert (found.share, found.low, found.high) == (0.15, 0.15, 0.15)


def test_so_does_a_stratum_that_was_labelled_whole_document_by_document():
    whole = cell(hits(60, 200), size=200, documents=np.arange(200) // 4)
    found = share([whole, cell(hits(5, 100), size=800)], powered=True)
    assert found.share == pytest.approx(0.2 * 0.3 + 0.8 * 0.05)
    assert 0.05 < found.low < found.share < found.high < 0.2


def test_strata_weigh_by_their_size():
    found = share([cell(hits(30, 100), size=10**6), cell(hits(0, 100), size=3 * 10**6)], powered=False)
    assert found.share == pytest.approx(0.075)
    one, other = wilson(30, 100, 99), wilson(0, 100, 99)
    assert found.low == pytest.approx(0.075 - 0.25 * (0.3 - one[0]), abs=1e-4)
    assert found.high == pytest.approx(0.075 + np.hypot(0.25 * (one[1] - 0.3), 0.75 * other[1]), abs=1e-4)


def test_in_a_stratum_without_labels_anything_is_possible():
    found = share([cell(hits(50, 100), size=9000), cell([], size=1000, mean=0.2)], powered=False)
    assert found.share == pytest.approx(0.47)
    assert found.low < 0.9 * 0.41
    assert found.high > 0.9 * 0.59 + 0.1


def test_documents_whose_paragraphs_are_alike_count_once():
    truth = np.repeat(hits(30, 100), 10)
    alike = share([cell(truth, documents=np.arange(1000) // 10)], powered=False)
    alone = share([cell(hits(30, 100))], powered=False)
    assert alike.high - alike.low == pytest.approx(alone.high - alone.low, rel=0.1)
    few = share([cell(np.repeat(hits(3, 30), 10), documents=np.arange(300) // 10)], powered=False)
    assert few.high == pytest.approx(wilson(3, 30, 29)[1], abs=1e-3)


def test_documents_across_cells_widen_what_is_put_together():
    truth = np.repeat(hits(50, 100), 2)
    halves = [cell(truth[side::2], documents=np.arange(100)) for side in (0, 1)]
    apart = [cell(truth[side::2], documents=np.arange(100) + 100 * side) for side in (0, 1)]
    joint, alone = share(halves, powered=False), share(apart, powered=False)
    assert (joint.high - joint.low) / (alone.high - alone.low) == pytest.approx(np.sqrt(2), rel=0.01)


def test_a_share_within_a_theme_is_of_its_labelled_paragraphs():
    theme, stance = hits(100, 1000), hits(30, 1000)
    few = within([cell(stance)], [cell(theme)], powered=True)
    assert few.kind == "wilson"
    assert (few.low, few.high) == pytest.approx(wilson(30, 100, 99), abs=1e-4)
    many = within([cell(hits(60, 1000))], [cell(hits(150, 1000))], powered=False)
    assert many.share == pytest.approx(0.4)
    assert many.high - many.low == pytest.approx(2 * 1.98 * np.sqrt(0.24 / 150), rel=0.02)
    assert within([cell(hits(0, 9))], [cell(hits(0, 9))], powered=True) is None
    assert within([cell(stance)] * 2, [cell(theme)] * 2, powered=True).kind == "ppi"


def test_few_of_a_theme_in_several_strata_leave_its_stances_wide_open():
    parts, rests = (
        [cell(hits(5, 500)), cell(hits(0, 500))],
        [cell(np.subtract(hits(20, 500), hits(5, 500))), cell(hits(1, 500))],
    )
    wholes = [cell(hits(20, 500)), cell(hits(1, 500))]
    found = within(parts, wholes, powered=True)
    one, other = share(parts, powered=False), share(rests, powered=False)
    assert found.share == pytest.approx(5 / 21)
    assert (found.low, found.high) == pytest.approx(
        (one.low / (one.low + other.high), one.high / (one.high + other.low)), abs=1e-9
    )
    assert found.high - found.low > 0.3


def test_a_difference_of_two_values_that_exclude_each_other():
    found = difference(Interval(0.5, 0.4, 0.6, "ppi"), Interval(0.5, 0.4, 0.6, "wilson"))
    assert (found.share, found.kind) == (0.0, "ppi")
    assert (found.low, found.high) == pytest.approx((-0.2, 0.2))  # each is the other's rest: their errors add up


def test_errors_that_predictions_make_alike_widen_a_difference():
    rng = np.random.default_rng(0)
    whole, predicted = np.ones((2, 400))
    one = (rng.random(400) < 0.5) * 1.0
    cells = [
        Cell(4000, truth, predicted_truth, 0.5, np.arange(400))
        for truth, predicted_truth in ((one, one), (1 - one, one))
    ]
    wholes = [Cell(4000, whole, predicted, 1.0, np.arange(400))]
    assert correlation(cells[:1], cells[1:], wholes, powered=False) == pytest.approx(-1)
    assert correlation(cells[:1], cells[:1], wholes, powered=False) == pytest.approx(1)
    nobody = [Cell(4000, 0 * whole, predicted, 1.0, np.arange(400))]
    assert correlation(cells[:1], cells[1:], nobody, powered=False) == 0
    thirds = Interval(0.33, 0.28, 0.38, "ppi"), Interval(0.33, 0.28, 0.38, "ppi")
    plain, alike, apart = (difference(*thirds, given) for given in (0.0, 0.5, -0.9))
    assert alike == plain and apart.high - apart.low > plain.high - plain.low


def test_error_rates_undo_a_count():
    assert rogan_gladen(0.2 * 0.7 + 0.8 * 0.05, 0.7, 0.95) == pytest.approx(0.2)
    assert rogan_gladen(0.3, 0.5, 0.5) is None
    assert rogan_gladen(0.01, 0.7, 0.95) == 0.0
