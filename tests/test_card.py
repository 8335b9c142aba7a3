"""Cards read the scores of older manifests, some of which had no interval."""

from capthemes.card import interval, value


def test_a_score_with_and_without_its_interval():
    score = {"value": 0.614, "low": 0.5, "high": 0.666}
    assert (interval(score), value(score)) == ("0.61 [0.50, 0.67]", 0.614)
    assert (interval(0.034), value(0.034)) == ("0.03", 0.034)
    assert interval(None) == "-"
