import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_recall_fscore_support,
)

from capthemes.metrics import RESAMPLES, Signature, _average_precisions, calibration_error, evaluate
from capthemes.records import Label, Paragraph, Probabilities

STANCES = ("for", "against", "both")


def made(n: int = 300, seed: int = 0):
    """Random gold and predicted labels of three themes, ten paragraphs a document."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 3)) < 0.3
    p = np.clip(truth * 0.3 + rng.random((n, 3)) * 0.7, 0, 1).round(2)
    stance, value = rng.dirichlet([1, 1, 1], size=(n, 3)), rng.integers(0, 3, size=(n, 3))
    gold = [
        Paragraph(
            str(i),
            "",
            tuple(Label("abc"[t], STANCES[value[i, t]]) for t in range(3) if truth[i, t]),
            {"doc": str(i // 10)},
        )
        for i in range(n)
    ]
    found = p > 0.5
    decided = [Paragraph(str(i), "", tuple(Label("abc"[t]) for t in range(3) if found[i, t])) for i in range(n)]
    return gold, Probabilities(("a", "b", "c"), STANCES, (), p, stance, None), decided, truth, found, value


def test_scores_are_scikit_learns():
    gold, probabilities, decided, truth, found, value = made()
    scores = evaluate(gold, probabilities, decided)
    assert scores.micro_f1.value == pytest.approx(f1_score(truth, found, average="micro"))
    assert scores.macro_f1.value == pytest.approx(f1_score(truth, found, average="macro"))
    precision, recall, f1, support = precision_recall_fscore_support(truth, found)
    for t, theme in enumerate(scores.themes.values()):
        values = (theme.precision.value, theme.recall.value, theme.f1.value)
        assert values == pytest.approx((precision[t], recall[t], f1[t]))
        assert theme.support == support[t]
        ap = average_precision_score(truth[:, t], probabilities.theme[:, t])
        assert theme.average_precision.value == pytest.approx(ap)
    guess = probabilities.stance.argmax(axis=2)[truth]
    assert scores.stance_macro_f1.value == pytest.approx(f1_score(value[truth], guess, average="macro"))
    assert scores.stance_accuracy.value == pytest.approx((value[truth] == guess).mean())
    assert scores.voice_macro_f1 is scores.theme_voice_f1 is None
    assert scores.exact.value == pytest.approx(accuracy_score(truth, found))
    briers = [brier_score_loss(truth[:, t], probabilities.theme[:, t]) for t in range(3)]
    assert scores.brier.value == pytest.approx(np.mean(briers))
    assert scores.average_precision.value == pytest.approx(average_precision_score(truth, probabilities.theme))
    counts, said, true = np.array(scores.reliability).T
    assert counts.sum() == truth.size
    assert (counts * true).sum() == pytest.approx(truth.sum())
    assert (counts * said).sum() == pytest.approx(probabilities.theme.sum())
    assert (scores.paragraphs, scores.documents) == (300, 30)


def test_intervals_hold_the_value_and_count_documents_not_paragraphs():
    gold, probabilities, decided, *_ = made()
    by_ten = evaluate(gold, probabilities, decided).micro_f1
    assert by_ten.low < by_ten.value < by_ten.high
    rows = np.repeat(np.arange(len(gold)), 20)  # each paragraph twenty times in its document: nothing has become surer
    lumped = [Paragraph(str(k), "", gold[i].labels, gold[i].meta) for k, i in enumerate(rows)]
    many = evaluate(lumped, probabilities[rows], [decided[i] for i in rows]).micro_f1
    assert (many.value, many.low, many.high) == pytest.approx((by_ten.value, by_ten.low, by_ten.high))
    assert evaluate(gold, probabilities, decided) == evaluate(gold, probabilities, decided)


def test_the_interval_covers_the_truth():
    """Of 200 samples from one population, about 95 in 100 intervals hold the population's F1."""
    gold, _, decided, truth, found, _ = made(20000, seed=1)
    population, covered = f1_score(truth, found, average="micro"), 0
    rng = np.random.default_rng(2)
    for _ in range(200):
        rows = rng.integers(0, len(gold), size=150)
        sample = [Paragraph(str(k), "", gold[i].labels) for k, i in enumerate(rows)]
        score = evaluate(sample, None, [decided[i] for i in rows]).micro_f1
        covered += score.low <= population <= score.high
    assert 0.89 <= covered / 200 <= 0.99


def test_calibration_error_by_hand():
    p = np.array([0.05, 0.05, 0.95, 0.95])
    assert calibration_error(np.array([0, 0, 1, 1]), p) == pytest.approx(0.05)
    assert calibration_error(np.array([1, 1, 0, 0]), p) == pytest.approx(0.95)
    assert calibration_error(np.array([1]), np.array([1.0])) == 0


def test_a_theme_that_gold_never_has_is_left_out_of_macro():
    gold = [Paragraph("1", "", (Label("a", "for"),)), Paragraph("2", "", ())]
    probabilities = Probabilities(("a", "b"), STANCES, (), np.array([[0.9, 0.1], [0.2, 0.8]]), None, None)
    decided = [Paragraph("1", "", (Label("a"),)), Paragraph("2", "", (Label("b"),))]
    scores = evaluate(gold, probabilities, decided)
    assert scores.macro_f1.value == 1.0
    assert scores.micro_f1.value == pytest.approx(2 / 3)
    assert scores.stance_accuracy is None


def test_a_signature_names_all_that_a_score_rests_on():
    text = str(Signature("real/dev", "ab" * 32, "fast@123", 1, 7, "0.1.0"))
    assert text == "data:real/dev@abababababab|model:fast@123|codebook:1|seed:7|bootstrap:1000|capthemes:0.1.0"


def test_average_precision_of_resamples_is_scikit_learns_with_these_weights():
    rng = np.random.default_rng(3)
    truth, p = rng.random(80) < 0.3, rng.random(80).round(1)  # many ties
    weights = rng.multinomial(80, np.full(80, 1 / 80), size=250).astype(float)
    found = _average_precisions(truth, p, weights)
    assert found == pytest.approx([average_precision_score(truth, p, sample_weight=row) for row in weights])
    assert not _average_precisions(np.zeros(80, dtype=bool), p, weights).any()


def test_labels_end_to_end_by_hand():
    """Of four gold labels two are right in theme and stance; one theme is right with another stance, one is missed."""
    gold = [
        Paragraph("1", "", (Label("a", "for", "x"), Label("b", "against", "x"))),
        Paragraph("2", "", (Label("a", "for", "y"), Label("c", None, "y"))),
        Paragraph("3", "", (Label("b", "both", None),)),
    ]
    decided = [
        Paragraph("1", "", (Label("a", "for", "x"), Label("b", "for", "y"))),
        Paragraph("2", "", (Label("a", "for", "x"), Label("c", "for", "y"))),
        Paragraph("3", "", ()),
    ]
    scores = evaluate(gold, None, decided)
    assert scores.micro_f1.value == pytest.approx(2 * 4 / (4 + 5))
    assert scores.theme_stance_f1.value == pytest.approx(2 * 2 / (3 + 4))  # c's gold stance is unknown: left out
    assert scores.theme_voice_f1.value == pytest.approx(2 * 2 / (4 + 4))
    assert scores.exact.value == pytest.approx(2 / 3)
    assert scores.average_precision is scores.ece is scores.brier is scores.stance_accuracy is None
    assert list(scores.themes) == ["a", "b", "c"]
    assert scores.themes["b"].ece is None


def test_who_tells_stances_and_finds_no_label_scores_nought_end_to_end():
    gold = [Paragraph("1", "", (Label("a", "for"),))]
    silent = [Paragraph("1", "", ())]
    p = Probabilities(("a",), STANCES, (), np.array([[0.1]]), np.full((1, 1, 3), 1 / 3), None)
    assert evaluate(gold, p, silent).theme_stance_f1.value == 0
    assert evaluate(gold, None, silent).theme_stance_f1 is None


def test_every_score_lies_in_its_interval_on_many_documents():
    gold, probabilities, decided, *_ = made(2000)
    scores = evaluate(gold, probabilities, decided)
    theme = scores.themes["a"]
    for score in (scores.exact, scores.brier, scores.average_precision, theme.precision, theme.recall):
        assert score.low < score.value < score.high < score.low + 0.1
    assert scores.ece.low < scores.ece.value < scores.ece.high < scores.ece.low + 0.1


def test_a_calibration_error_lies_in_its_interval_however_good_the_probabilities():
    rng = np.random.default_rng(5)
    p = rng.beta(0.3, 3, (210, 8))
    names = tuple("abcdefgh")
    gold = [
        Paragraph(str(i), "", tuple(Label(n) for n, y in zip(names, row, strict=True) if y))
        for i, row in enumerate(rng.random(p.shape) < p)
    ]
    scores = evaluate(gold, Probabilities(names, (), (), p), gold)
    for score in (scores.ece, *(theme.ece for theme in scores.themes.values())):
        assert 0 <= score.low <= score.value <= score.high
    assert scores.ece.low < scores.ece.value - 0.01  # down where the truth, 0, is, not up


def test_themes_that_a_resample_lacks_do_not_lower_its_macro_scores():
    """One gold label of the rarer theme: a resample without it says nothing of it, of its stance nor of its ranks."""
    gold = [Paragraph(str(i), "", (Label("a", "for"),)) for i in range(59)] + [
        Paragraph("59", "", (Label("b", "both"),))
    ]
    truth = np.array([[1, 0]] * 59 + [[0, 1]])
    stance = np.zeros((60, 2, 3))
    stance[:59, :, 0] = stance[59, :, 2] = 1
    scores = evaluate(gold, Probabilities(("a", "b"), STANCES, (), truth * 1.0, stance), gold)
    for score in (scores.macro_f1, scores.average_precision, scores.stance_macro_f1):
        assert (score.value, score.low, score.high) == (1, 1, 1)


def test_the_interval_of_a_macro_f1_covers_the_truth_where_themes_are_rare():
    """Of 100 samples of 200 paragraphs, in which half of the themes have three gold labels."""
    rng, names = np.random.default_rng(1), "abcdefgh"
    rates = np.array([0.15, 0.06, 0.06, 0.06, 0.015, 0.015, 0.015, 0.015])
    truth = rng.random((40_000, 8)) < rates
    found = np.where(truth, rng.random(truth.shape) < 0.6, rng.random(truth.shape) < 0.4 * rates)
    population, covered = f1_score(truth, found, average="macro"), 0
    for _ in range(100):
        rows = rng.integers(0, len(truth), size=200)
        gold, decided = (
            [Paragraph(str(k), "", tuple(Label(names[t]) for t in np.flatnonzero(side[i]))) for k, i in enumerate(rows)]
            for side in (truth, found)
        )
        score = evaluate(gold, None, decided, themes=names).macro_f1
        covered += score.low <= population <= score.high
    assert 0.89 <= covered / 100 <= 0.99


def test_probabilities_are_scored_in_little_more_memory_than_the_weights_take():
    rng, count = np.random.default_rng(0), 400
    names = tuple("abcdefghijklmnop")
    gold = [Paragraph(str(i), "", (Label(names[i % 16]),)) for i in range(count)]
    said = Probabilities(names, (), (), rng.random((count, 16)))
    tracemalloc.start()
    evaluate(gold, said, gold)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * 8 * (1 + RESAMPLES) * count


def test_paragraphs_that_nobody_read_leave_nothing_to_score():
    gold = [Paragraph("1", "", (), {"read": []})]
    scores = evaluate(gold, Probabilities(("a",), (), (), np.array([[0.9]])), [Paragraph("1", "", (Label("a"),))])
    assert (scores.paragraphs, scores.documents, scores.reliability) == (0, 0, [])
