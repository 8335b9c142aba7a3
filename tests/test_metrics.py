import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, precision_recall_fscore_support

from capthemes.metrics import Signature, calibration_error, evaluate
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
        assert (theme.precision, theme.recall, theme.f1.value) == pytest.approx((precision[t], recall[t], f1[t]))
        assert theme.support == support[t]
        assert theme.average_precision == pytest.approx(average_precision_score(truth[:, t], probabilities.theme[:, t]))
    guess = probabilities.stance.argmax(axis=2)[truth]
    assert scores.stance_macro_f1.value == pytest.approx(f1_score(value[truth], guess, average="macro"))
    assert scores.stance_accuracy.value == pytest.approx((value[truth] == guess).mean())
    assert scores.voice_macro_f1 is None
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
    gold, probabilities, decided, truth, found, _ = made(20000, seed=1)
    population, covered = f1_score(truth, found, average="micro"), 0
    rng = np.random.default_rng(2)
    for _ in range(200):
        rows = rng.integers(0, len(gold), size=150)
        sample = [Paragraph(str(k), "", gold[i].labels) for k, i in enumerate(rows)]
        score = evaluate(sample, probabilities[rows], [decided[i] for i in rows]).micro_f1
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
