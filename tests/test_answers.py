"""Whoever can be asked: functions, files, estimators, models of transformers."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import capthemes
from capthemes.answers import answerer
from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.errors import AnnotationError, CapthemesError, InputError, ModelError
from capthemes.records import Label, Predictions, Probabilities


@pytest.fixture
def book(land_codebook) -> Codebook:
    return Codebook.load(land_codebook)


def labels(who, gold, book):
    return list(answerer(who, book).ask(gold).labels)


def test_a_function_answers_names_objects_or_labels(book, land_paragraphs):
    gold = land_paragraphs[:2]
    wanted = [(Label("farmland"),), ()]
    assert labels(lambda texts: [["farmland"], []], gold, book) == wanted
    assert labels(lambda texts: [[{"theme": "farmland"}], []], gold, book) == wanted
    assert labels(lambda texts: [(Label("farmland", probability=0.9),), ()], gold, book) == wanted
    full = [[{"theme": "farmland", "stance": "critical", "voice": "author"}], []]
    assert labels(lambda texts: full, gold, book)[0] == (Label("farmland", "critical", "author"),)


def test_a_function_may_answer_with_probabilities(book, land_paragraphs):
    said = Probabilities(book.names, (), (), np.array([[0.9, 0.1], [0.2, 0.4]]))
    found = answerer(lambda texts: said, book).ask(land_paragraphs[:2])
    assert [[x.theme for x in row] for row in found.labels] == [["industrial_land"], []]
    assert found.probabilities.theme[0, 0] == pytest.approx(0.9)


def said(themes: tuple[str, ...], theme) -> Predictions:
    return Predictions(Probabilities(themes, (), (), np.array(theme)), Decision.plain(themes))


@pytest.mark.parametrize("whole", [True, False])
def test_the_themes_that_an_answer_leaves_out_are_scored_as_absent(book, land_paragraphs, whole):
    stance = np.tile([0.2, 0.8], (40, 1, 1))
    told = Probabilities(("farmland",), ("critical", "supportive"), (), np.ones((40, 1)), stance)
    answer = told if whole else Predictions(told, Decision.plain(told.themes))
    found = answerer(lambda texts: answer, book).ask(land_paragraphs)
    assert found.probabilities.themes == book.names
    assert found.probabilities.theme.tolist() == [[0, 1]] * 40
    assert np.isnan(found.probabilities.stance[:, 0]).all()
    report = capthemes.evaluate(lambda texts: answer, land_paragraphs, codebook=book)
    against = capthemes.compare(lambda texts: answer, lambda texts: [[]] * 40, land_paragraphs, codebook=book)
    assert report.evaluation.micro_f1.value == against.differences["theme micro-F1"].a == pytest.approx(20 / 70)
    assert report.evaluation.stance_accuracy.value == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([["farmland"]], "answers 1 for 2 texts"),
        (7, "answers a int for 2 texts"),
        (Probabilities(("farmland",), (), (), np.ones((1, 1))), "answers 1 for 2 texts"),
        (["farmland", "farmland"], "text 0: 'farmland' is no list of labels"),
        ([["weather"], []], "text 0: label .* has no theme of the codebook"),
        ([[], ["farmland", "farmland"]], "text 1: a theme stands twice"),
        ([[], [{"theme": "farmland", "stance": "odd"}]], "stance 'odd' is none of"),
        (Probabilities(("weather",), (), (), np.ones((2, 1))), "each must be a theme of: industrial_land, farmland"),
        (Probabilities(("farmland",) * 2, (), (), np.ones((2, 2))), "each must be a theme of"),
        (Probabilities(("farmland",), (), (), np.ones((2, 2))), r"answers \(2, 2\) for the themes farmland"),
        (Probabilities(("farmland",), (), (), np.full((2, 1), np.nan)), "that are not from 0 to 1"),
        (Probabilities(("farmland",), (), (), np.full((2, 1), 2.0)), "that are not from 0 to 1"),
        (Probabilities(("farmland",), ("odd",), (), np.ones((2, 1)), np.ones((2, 1, 1))), "with stances odd"),
        (said(("farmland",), [[1.0]]), "answers 1 for 2 texts"),
        (said(("weather",), [[0.1]] * 2), "each must be a theme of"),
    ],
)
def test_what_a_function_must_not_answer(book, land_paragraphs, answer, message):
    with pytest.raises(CapthemesError, match=message):
        answerer(lambda texts: answer, book).ask(land_paragraphs[:2])


def test_a_function_of_a_module_here(tmp_path, monkeypatch, book, land_paragraphs):
    (tmp_path / "three_lines.py").write_text("def predict(texts):\n    return [['farmland'] for _ in texts]\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    who = answerer("three_lines:predict", book)
    assert who.name == "three_lines:predict"
    assert who.ask(land_paragraphs).labels[0] == (Label("farmland"),)
    (tmp_path / "broken.py").write_text("def predict(texts)\n")
    (tmp_path / "unlucky.py").write_text("1 / 0\n")
    for name in ("broken:predict", "unlucky:predict"):
        with pytest.raises(ModelError, match=f"'{name}': the module fails"):
            answerer(name, book)
    for name in ("three_lines:none", "no_such_module:predict", "three_lines:__name__"):
        with pytest.raises(ModelError, match=name):
            answerer(name, book)


def test_a_fitted_estimator(book, land_paragraphs, options):
    truth = [[int(any(x.theme == name for x in p.labels)) for name in book.names] for p in land_paragraphs]
    fitted = options["pipeline"]["estimator"].fit([p.text for p in land_paragraphs], np.array(truth))
    report = capthemes.evaluate(fitted, land_paragraphs, codebook=book)
    assert report.name == "Pipeline"
    assert report.evaluation.micro_f1.value > 0.9
    assert report.evaluation.average_precision.value > 0.9


def alphabetical(gold):
    """Themes as scikit-learn orders them, which is not the codebook's order, and the indicator matrix of `gold`."""
    names = ["farmland", "industrial_land"]
    return names, np.array([[int(any(x.theme == name for x in p.labels)) for name in names] for p in gold])


def test_columns_that_bear_the_themes_names_are_read_by_them(book, land_paragraphs):
    import pandas
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from capthemes.sklearn import ThemeClassifier

    texts = [p.text for p in land_paragraphs]
    names, Y = alphabetical(land_paragraphs)
    fitted = ThemeClassifier().fit(texts, pandas.DataFrame(Y, columns=names))
    assert capthemes.evaluate(fitted, land_paragraphs, codebook=book).evaluation.micro_f1.value == 1
    classes = [p.labels[0].theme if p.labels else "none" for p in land_paragraphs]
    one_each = make_pipeline(TfidfVectorizer(), LogisticRegression(C=100)).fit(texts, classes)
    found = capthemes.evaluate(one_each, land_paragraphs, codebook=book).evaluation
    assert found.micro_f1.value == 1
    assert found.average_precision.value == 1


def test_an_estimator_is_scored_on_its_own_labels(book, land_paragraphs):
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import FixedThresholdClassifier
    from sklearn.multioutput import MultiOutputClassifier
    from sklearn.pipeline import make_pipeline

    texts = [p.text for p in land_paragraphs]
    classes = np.array([p.labels[0].theme if p.labels else "none" for p in land_paragraphs])
    unsure = make_pipeline(CountVectorizer(analyzer="char"), LogisticRegression(C=0.001)).fit(texts, classes)
    assert (unsure.predict_proba(texts).max(axis=1) < 0.5).any()
    numbered = make_pipeline(CountVectorizer(), LogisticRegression())
    kept = [p for p in land_paragraphs if p.labels]
    numbered.fit([p.text for p in kept], [book.names.index(p.labels[0].theme) for p in kept])
    truth = np.array([[name in {x.theme for x in p.labels} for name in book.names] for p in land_paragraphs])
    bold = FixedThresholdClassifier(LogisticRegression(), threshold=0.01)
    bold = make_pipeline(CountVectorizer(), MultiOutputClassifier(bold)).fit(texts, truth.astype(int))
    for who, gold in ((unsure, land_paragraphs), (numbered, kept), (bold, land_paragraphs)):
        told = np.asarray(who.predict([p.text for p in gold]))
        if told.ndim == 1:
            wanted = [{book.names[one]} if one in (0, 1) else {one} & set(book.names) for one in told.tolist()]
        else:
            wanted = [{book.names[t] for t in np.flatnonzero(row)} for row in told]
        found = answerer(who, book).ask(gold)
        assert [{x.theme for x in row} for row in found.labels] == wanted
        assert found.probabilities.theme.shape == (len(gold), 2)


def test_an_estimator_that_has_predict_alone(book, land_paragraphs):
    from scipy.sparse import csr_matrix

    class Knows:
        def __init__(self, answer):
            self.predict = lambda texts: answer

    names, Y = alphabetical(land_paragraphs)
    wanted = [{x.theme for x in p.labels} for p in land_paragraphs]
    classes = np.array([p.labels[0].theme if p.labels else "none" for p in land_paragraphs])
    named = Knows(Y)
    named.classes_ = np.array(names)
    for who in (Knows(Y[:, ::-1]), Knows(csr_matrix(Y[:, ::-1])), named, Knows(classes), Knows([*map(list, wanted)])):
        assert [{x.theme for x in row} for row in labels(who, land_paragraphs, book)] == wanted
    assert answerer(named, book).name == "Knows"
    with pytest.raises(InputError, match=r"predict answers \(40, 1\) for 40 texts and 2 themes"):
        labels(Knows(Y[:, :1]), land_paragraphs, book)


def written(path: Path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n", encoding="utf-8")
    return str(path)


def test_a_file_of_predictions_in_any_order(tmp_path, book, land_paragraphs):
    rows = [{"id": p.id, "labels": [{"theme": x.theme, "stance": x.stance} for x in p.labels]} for p in land_paragraphs]
    found = answerer(written(tmp_path / "p.jsonl", rows[::-1]), book).ask(land_paragraphs)
    assert [{x.theme for x in row} for row in found.labels] == [{x.theme for x in p.labels} for p in land_paragraphs]
    assert found.probabilities is None
    assert found.name.startswith("p@")
    with_p = [{**row, "probabilities": {"industrial_land": 0.5, "farmland": i / 40}} for i, row in enumerate(rows)]
    found = answerer(written(tmp_path / "q.jsonl", with_p), book).ask(land_paragraphs)
    assert found.probabilities.theme[:, 1] == pytest.approx(np.arange(40) / 40)


def test_a_file_of_predictions_may_begin_with_a_byte_order_mark(tmp_path, book, land_paragraphs):
    (tmp_path / "p.jsonl").write_bytes('{"id": "p0", "labels": ["farmland"]}\n'.encode("utf-8-sig"))
    assert labels(str(tmp_path / "p.jsonl"), land_paragraphs[:1], book) == [(Label("farmland"),)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": "p0", "labels": []}], r"p.jsonl: no row for 1 of 2 paragraphs, as 'p1'"),
        ([{"id": "p0", "labels": []}] * 2, "p.jsonl:2: id 'p0' stands twice"),
        ([{"id": "p0"}], "p.jsonl:1: a prediction needs an 'id' and 'labels'"),
        ([{"id": "p0", "labels": ["weather"]}], "p.jsonl:1: label .* has no theme"),
        ([{"id": "p0", "labels": [], "probabilities": {"farmland": 1}}], "lack a number for theme 'industrial_land'"),
        ([{"id": "p0", "labels": [], "probabilities": {"industrial_land": 2, "farmland": 1}}], "from 0 to 1"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path, book, land_paragraphs, rows, message):
    with pytest.raises((InputError, AnnotationError), match=message):
        answerer(written(tmp_path / "p.jsonl", rows), book).ask(land_paragraphs[:2])


def test_a_file_of_predictions_in_another_encoding(tmp_path, book, land_paragraphs):
    (tmp_path / "p.jsonl").write_bytes('{"id": "p0", "labels": []}\n{"id": "甲", "labels": []}\n'.encode("gb18030"))
    with pytest.raises(InputError, match=r"p.jsonl:2: not UTF-8 at byte 8 of the line"):
        answerer(str(tmp_path / "p.jsonl"), book).ask(land_paragraphs)


def test_a_model_of_language_inference_is_asked_the_codebooks_sentences(options, book, land_paragraphs):
    found = answerer(options["zeroshot"]["encoder"], book).ask(land_paragraphs[:2])
    assert found.name.startswith("hf:")
    assert found.probabilities.stance.shape == (2, 2, 2)


def test_a_classifier_whose_labels_are_themes(tiny_encoder, tmp_path, book, land_paragraphs):
    import transformers

    def save(names: dict[int, str], **more) -> str:
        config = transformers.BertConfig.from_pretrained(tiny_encoder, id2label=names, **more)
        config.label2id = {v: k for k, v in names.items()}
        transformers.BertForSequenceClassification(config).save_pretrained(tmp_path / "c")
        transformers.BertTokenizerFast.from_pretrained(tiny_encoder).save_pretrained(tmp_path / "c")
        return str(tmp_path / "c")

    found = answerer(save({0: "Farmland", 1: "other"}), book).ask(land_paragraphs[:3]).probabilities
    assert (found.theme[:, 0] == 0).all()
    assert (found.theme[:, 1] > 0).all()
    many = {0: "farmland", 1: "industrial land", **{place: f"other {place}" for place in range(2, 6)}}
    several = answerer(save(many, problem_type="multi_label_classification"), book).ask(land_paragraphs)
    assert [len(row) for row in several.labels] == (several.probabilities.theme > 0.5).sum(axis=1).tolist()
    for told in ({}, {"problem_type": "single_label_classification"}):
        both = answerer(f"hf:{save({0: 'farmland', 1: 'industrial land'}, **told)}", book).ask(land_paragraphs)
        assert both.probabilities.theme.sum(axis=1) == pytest.approx(1)
        name = save(many, **told)
        pipeline = transformers.pipeline("text-classification", name, device="cpu")
        likeliest = [row["label"].replace(" ", "_") for row in pipeline([p.text for p in land_paragraphs])]
        found = answerer(name, book).ask(land_paragraphs)
        assert found.probabilities.theme.max() < 0.5  # shared out among six
        assert [[x.theme for x in row] for row in found.labels] == [
            [label] if label in book.names else [] for label in likeliest
        ]
    with pytest.raises(ModelError, match="neither entailment nor themes"):
        answerer(save({0: "sports", 1: "arts"}), book)
    with pytest.raises(ModelError, match="cannot be loaded"):
        answerer(f"hf:{tmp_path / 'none'}", book)


def test_what_cannot_be_asked(book):
    with pytest.raises(InputError, match="7 cannot be asked"):
        answerer(7, book)
    with pytest.raises(ModelError, match="no model 'slow'"):
        answerer("slow", book)
