"""Evidence: spans that add up, stretches by hand, and labels that fall without what is named."""

from functools import cache
from itertools import combinations_with_replacement, pairwise

import numpy as np
import pytest
from benchmarks import faithfulness
from hypothesis import given, settings
from hypothesis import strategies as st

from capthemes import annotations
from capthemes.codebook import Codebook
from capthemes.decision import Decision, log_odds
from capthemes.errors import TextTypeError
from capthemes.evidence import Weights, explain, maximal, weigh
from capthemes.families.keywords import Keywords
from capthemes.model import Model, load
from capthemes.records import Label, Span

TEXT = "Steel mills were told to cut output, because supply far exceeds demand. 產能過剩嚴重，ＰＰＩ連續下降。"


@cache
def bundled() -> Model:
    return load()


def weights(model: Model, text: str) -> Weights:
    return weigh(model.family, model.decision, text, [])


def odds(model: Model, text: str) -> np.ndarray:
    return log_odds(model.predict_proba([text]).theme)[0]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "",
        "钢",
        "cut cut cut output",
        "e\u0301tude of steel",
        "ﬁnance ㈱ 重鋼",
        "\ud800 steel \x00",
        "नि की steel",
    ],
)
def test_the_linear_sum_adds_up_word_by_word(fast, text):
    found = weights(fast, text)
    assert found.exact
    within = np.abs(odds(fast, text)) < 13  # beyond, a decision cuts probabilities off
    assert (found.base + found.weights.sum(axis=0))[within] == pytest.approx(odds(fast, text)[within], abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([*TEXT, "steel", "overcapacity ", "产能过剩", " ", "\n", "é", "ﬃ"]), max_size=40))
def test_it_adds_up_for_any_text(parts):
    model, text = bundled(), "".join(parts)
    found = weights(model, text)
    within = np.abs(odds(model, text)) < 13  # beyond, a decision cuts probabilities off
    assert (found.base + found.weights.sum(axis=0))[within] == pytest.approx(odds(model, text)[within], abs=1e-6)
    if len(found.words):
        assert found.words[0, 0] == 0
        assert found.words[-1, 1] == len(text)
        assert (found.words[1:, 0] == found.words[:-1, 1]).all()


def test_a_span_weighs_what_its_words_weigh(fast):
    found = weights(fast, TEXT)
    labels = fast.explain(TEXT)
    assert [(x.theme, x.stance, x.voice, x.probability) for x in labels] == [
        (x.theme, x.stance, x.voice, x.probability) for x in fast.predict([TEXT])[0]
    ]
    for label in labels:
        assert label.evidence
        of_theme = found.weights[:, fast.codebook.names.index(label.theme)]
        for span in label.evidence:
            inside = (found.words[:, 0] < span.end) & (found.words[:, 1] > span.start)
            assert span.weight == pytest.approx(of_theme[inside].sum())
            assert span.weight > 0


def test_spans_are_apart_in_order_and_begin_and_end_in_letters(fast):
    for paragraph in annotations.paragraphs("written", "test")[:20]:
        for label in fast.explain(paragraph.text):
            for span in label.evidence:
                assert paragraph.text[span.start].isalnum()
                assert paragraph.text[span.end - 1].isalnum()
            for before, after in pairwise(label.evidence):
                assert before.end <= after.start


def test_what_is_left_out_is_found_in_any_family():
    """The keywords family adds nothing up; without the one phrase it knows here, it is unsure."""
    codebook = Codebook.load()
    decision = Decision.plain(codebook.names)
    text = "The mayor spoke for an hour. Overcapacity is plain to see, said a man in the last row of the hall."
    (label,) = explain(Keywords(codebook), decision, text)
    assert label.theme == "overcapacity"
    assert [text[span.start : span.end] for span in label.evidence] == ["Overcapacity is plain to see"]
    found = weigh(Keywords(codebook), decision, text, [codebook.names.index("overcapacity")])
    assert not found.exact


def test_no_label_no_evidence_and_no_string_no_label(fast):
    assert fast.explain("The choir sang.") == ()
    with pytest.raises(TextTypeError, match="every text must be a string"):
        fast.explain(None)


def test_maximal_stretches_by_hand():
    scores = [4, -5, 3, -3, 1, 2, -2, 2, -2, 1, 5]  # the example of Ruzzo and Tompa's paper
    assert list(maximal(scores)) == [(0, 1), (2, 3), (4, 11)]
    assert list(maximal([-1, 0, -2])) == []
    assert list(maximal([1, -1, 1], 10)) == [(10, 11), (12, 13)]


@given(st.lists(st.integers(-5, 5), max_size=9))
def test_maximal_stretches_are_those_of_the_definition(scores):
    """By the recursion that defines them: the largest sum (the shortest, the first), then left and right of it."""

    def expected(first: int, stop: int) -> list[tuple[int, int]]:
        spans = [(a, b) for a, b in combinations_with_replacement(range(first, stop + 1), 2) if a < b]
        best = max(spans, key=lambda s: (sum(scores[s[0] : s[1]]), s[0] - s[1], -s[0]), default=None)
        if best is None or sum(scores[best[0] : best[1]]) <= 0:
            return []
        return [*expected(first, best[0]), best, *expected(best[1], stop)]

    found = list(maximal(scores))
    wanted = expected(0, len(scores))
    assert sum(sum(scores[a:b]) for a, b in found) == sum(sum(scores[a:b]) for a, b in wanted)
    assert {i for a, b in found for i in range(a, b) if scores[i] > 0} == {i for i, x in enumerate(scores) if x > 0}


def test_labels_fall_further_without_their_evidence_than_without_random_spans(fast):
    """The short form of `python -m benchmarks faithfulness`."""
    row = faithfulness.summary(fast, "written/test", annotations.paragraphs("written", "test")[:40])
    assert row["labels"] >= 20
    assert row["difference"]["low"] > 0.1
    assert row["further"]["value"] > 0.9


def test_random_spans_are_of_the_lengths_asked_for_and_apart():
    rng = np.random.default_rng(0)
    for _ in range(50):
        spans = sorted(faithfulness.random_spans(20, [3, 5, 7], rng), key=lambda span: span.start)
        assert sorted(span.end - span.start for span in spans) == [3, 5, 7]
        assert spans[0].start >= 0
        assert spans[-1].end <= 20
        assert all(a.end <= b.start for a, b in pairwise(spans))
    assert faithfulness.without("abcdef", [Span(0, 1, 0.0), Span(3, 5, 0.0)]) == "bcf"


def test_the_table_of_faithfulness_shows_what_was_measured_last():
    sheet = faithfulness.SHEET.read_text(encoding="utf-8")
    assert faithfulness.rendered(sheet) == sheet


def test_labels_of_families_without_stance_are_explained_too():
    codebook = Codebook.load()
    labels = explain(Keywords(codebook), Decision.plain(codebook.names), "Involution and overcapacity.")
    assert {(x.theme, x.stance) for x in labels} == {("involution", None), ("overcapacity", None)}
    assert all(isinstance(x, Label) and x.evidence for x in labels)
