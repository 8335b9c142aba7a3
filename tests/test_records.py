import numpy as np
import pytest

from capthemes.decision import Decision, ThemeDecision
from capthemes.errors import InputError
from capthemes.records import Label, Paragraph, Predictions, Probabilities, label_indices, theme_matrix, unit

THEME = np.array([[0.9, 0.2], [0.6, 0.8], [0.1, 0.1]])
STANCE = np.array([[[0.7, 0.3]] * 2, [[0.2, 0.8]] * 2, [[0.5, 0.5]] * 2])


@pytest.fixture
def predictions() -> Predictions:
    probabilities = Probabilities(("a", "b"), ("for", "against"), (), THEME, STANCE, None)
    return Predictions(probabilities, Decision({"a": ThemeDecision(), "b": ThemeDecision(threshold=0.75)}))


def test_predictions_are_a_sequence_of_labels_most_probable_first(predictions):
    assert len(predictions) == 3
    assert predictions[0] == (Label("a", "for", None, 0.9),)
    assert [label.theme for label in predictions[1]] == ["b", "a"]
    assert predictions[2] == () == predictions[-1]
    assert list(predictions)[1:] == list(predictions[1:])
    assert repr(predictions) == "Predictions(3 paragraphs, 2 with a theme)"


def test_deciding_anew_does_not_score_anew(predictions):
    strict = predictions.with_thresholds(0.85)
    assert [len(labels) for labels in strict] == [1, 0, 0]
    assert strict.probabilities.theme is predictions.probabilities.theme
    assert [len(labels) for labels in predictions.with_thresholds({"b": 0.9})] == [1, 1, 0]
    assert [len(labels) for labels in predictions] == [1, 2, 0]


@pytest.mark.parametrize("bad", [1.5, -0.1, "0.5", True, float("nan"), {"c": 0.5}, {"a": None}])
def test_thresholds_that_cannot_be(predictions, bad):
    with pytest.raises(InputError):
        predictions.with_thresholds(bad)


def test_a_frame_has_a_row_for_each_label(predictions):
    frame = predictions.to_frame()
    assert frame.columns.tolist() == ["paragraph", "theme", "stance", "voice", "probability"]
    assert frame.paragraph.tolist() == [0, 1, 1]
    assert frame.voice.isna().all()
    assert predictions.with_thresholds(1.0).to_frame().dtypes["probability"] == "float64"


def test_an_arrow_table_has_a_row_for_each_paragraph(predictions):
    rows = predictions.to_arrow().to_pylist()
    assert [len(row["labels"]) for row in rows] == [1, 2, 0]
    assert rows[0]["labels"][0] == {"theme": "a", "stance": "for", "voice": None, "probability": 0.9}


def test_probabilities_are_cut_and_joined_by_row(predictions):
    whole = predictions.probabilities
    joined = Probabilities.concatenate([whole[:1], whole[np.array([1, 2])]])
    assert (joined.theme == whole.theme).all()
    assert joined.stance is not None
    assert (joined.stance == STANCE).all()
    assert joined.voice is None


@pytest.mark.parametrize(
    ("meta", "together"),
    [
        ({}, "a"),
        ({"document": "d"}, "d"),
        ({"document": "d", "doc": 0}, "0"),
        ({"document": "d", "doc": "e", "group": "g"}, "g"),
        ({"document": "", "group": None}, "a"),
        ({"document": "a", "book": 7, "group": "g", "drawn_by": "book"}, "7"),
        ({"document": "d", "book": None, "group": "g", "drawn_by": "book"}, "a"),
    ],
)
def test_paragraphs_of_one_document_are_kept_together(meta, together):
    assert unit(Paragraph("a", "", (), meta)) == together
    assert unit(Paragraph("a", "", (), meta), "document") == (meta.get("document") or "a")


def test_labels_as_matrices():
    paragraphs = [Paragraph("1", "x", (Label("b", "against"), Label("a"))), Paragraph("2", "y", ())]
    assert theme_matrix(paragraphs, ("a", "b")).tolist() == [[True, True], [False, False]]
    rows, themes, values = label_indices(paragraphs, ("a", "b"), ("for", "against"), "stance")
    assert (rows.tolist(), themes.tolist(), values.tolist()) == ([0], [1], [1])
    assert all(len(part) == 0 for part in label_indices([], ("a",), (), "voice"))
