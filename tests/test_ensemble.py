"""The ensemble family: what it makes of what its two members say."""

from dataclasses import replace

import numpy as np
import pytest

from capthemes.families.ensemble import SHARE, averaged
from capthemes.records import Probabilities


def said(seed: int) -> Probabilities:
    draw = np.random.default_rng(seed)
    return Probabilities(
        ("a", "b"),
        ("for", "against"),
        ("own",),
        draw.random((5, 2)),
        draw.dirichlet((1, 1), (5, 2)),
        np.ones((5, 2, 1)),
    )


def odds(p):
    return np.log(p / (1 - p))


def test_log_odds_are_averaged_and_the_rest_stays_a_distribution():
    one, other = said(1), said(2)
    both = averaged(one, other)
    assert odds(both.theme) == pytest.approx((1 - SHARE) * odds(one.theme) + SHARE * odds(other.theme))
    expected = (1 - SHARE) * odds(one.stance[..., 0]) + SHARE * odds(other.stance[..., 0])
    assert odds(both.stance[..., 0]) == pytest.approx(expected)
    assert both.stance.sum(axis=-1) == pytest.approx(1)
    assert (both.voice == 1).all()


def test_certainty_of_one_member_is_not_certainty_of_both():
    one = replace(said(1), theme=np.zeros((5, 2)), stance=None, stances=())
    both = averaged(one, replace(said(2), stance=None, stances=()))
    assert (both.theme > 0).all()
    assert (both.theme < 0.5).all()
    assert both.stance is None
