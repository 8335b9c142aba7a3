import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from capthemes.decision import Decision, _best_threshold, _platt
from capthemes.errors import ModelError
from capthemes.metrics import calibration_error
from capthemes.records import Label, Paragraph, Predictions, Probabilities


def made(n: int = 4000, seed: int = 0) -> tuple[Probabilities, list[Paragraph]]:
    """Probabilities whose true log-odds are half of what they claim, less one."""
    rng = np.random.default_rng(seed)
    claimed = rng.normal(0, 3, size=(n, 2))
    truth = rng.random((n, 2)) < 1 / (1 + np.exp(-(claimed / 2 - 1)))
    stance = rng.dirichlet([1, 1], size=(n, 2))
    says = stance**0.5 / (stance**0.5).sum(axis=2, keepdims=True)  # too timid: true temperature 0.5
    value = (rng.random((n, 2)) < stance[..., 1]).astype(int)
    gold = [
        Paragraph(str(i), "", tuple(Label("ab"[t], ("for", "against")[value[i, t]]) for t in range(2) if truth[i, t]))
        for i in range(n)
    ]
    return Probabilities(("a", "b"), ("for", "against"), (), 1 / (1 + np.exp(-claimed)), says, None), gold


def test_fitting_recovers_the_line_and_the_temperature():
    probabilities, gold = made()
    decision = Decision.fit(probabilities, gold)
    for numbers in decision.themes.values():
        assert numbers.slope == pytest.approx(0.5, abs=0.05)
        assert numbers.intercept == pytest.approx(-1, abs=0.12)
        assert 0.2 < numbers.threshold < 0.5
    assert decision.stance_temperature == pytest.approx(0.5, abs=0.08)
    assert decision.voice_temperature == 1.0
    fresh, truth = made(seed=1)
    has = np.array([[any(x.theme == t for x in p.labels) for t in "ab"] for p in truth])
    assert calibration_error(has[:, 0], fresh.theme[:, 0]) > 0.1
    assert calibration_error(has[:, 0], decision.calibrate(fresh).theme[:, 0]) < 0.03


def test_the_line_is_scikit_learns_where_data_are_many():
    rng = np.random.default_rng(3)
    x = rng.normal(size=20000)
    y = rng.random(20000) < 1 / (1 + np.exp(-(1.7 * x + 0.4)))
    peer = LogisticRegression(C=1e6).fit(x[:, None], y)
    assert _platt(x, y) == pytest.approx((peer.coef_[0, 0], peer.intercept_[0]), abs=0.01)


def test_thresholds_beat_one_half_on_f1():
    probabilities, gold = made()
    decision = Decision.fit(probabilities, gold)

    def micro_f1(d: Decision) -> float:
        pairs = [
            ({x.theme for x in p.labels}, {x.theme for x in found})
            for p, found in zip(gold, Predictions(probabilities, d), strict=True)
        ]
        return 2 * sum(len(a & b) for a, b in pairs) / sum(len(a) + len(b) for a, b in pairs)

    assert micro_f1(decision) > micro_f1(decision.with_thresholds(0.5))


def test_a_threshold_never_parts_equal_probabilities():
    p = np.array([0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.1])
    for y in ([1, 1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 1, 0]):
        assert _best_threshold(p, np.array(y, dtype=bool)) == pytest.approx(0.7)


def test_a_theme_without_positives_is_rarely_given():
    probabilities, gold = made(200)
    bare = [Paragraph(p.id, "", tuple(x for x in p.labels if x.theme == "a")) for p in gold]
    decision = Decision.fit(probabilities, bare)
    assert np.isfinite(decision.calibrate(probabilities).theme).all()
    assert not any(x.theme == "b" for labels in Predictions(probabilities, decision) for x in labels)


def test_json_round_trip_is_exact():
    decision = Decision.fit(*made(300))
    assert Decision.from_json(decision.to_json().encode(), "here") == decision


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"themes": {"a": {"slope": "1"}}}', Decision.plain("a").to_json().replace("0.5", "NaN")]
)
def test_a_broken_decision_is_refused(text):
    with pytest.raises(ModelError, match="here: not a decision"):
        Decision.from_json(text.encode(), "here")
