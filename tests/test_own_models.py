"""What a user brings: a scikit-learn pipeline, a language-inference model."""

import json

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

import capthemes
from capthemes.cli import main
from capthemes.codebook import Codebook
from capthemes.errors import ModelError
from capthemes.families.pipeline import Pipeline
from capthemes.families.zeroshot import ZeroShot, hypotheses


@pytest.mark.parametrize(
    "last",
    [
        OneVsRestClassifier(LogisticRegression(C=100)),
        MultiOutputClassifier(LogisticRegression(C=100)),
        OneVsRestClassifier(LinearSVC()),
        RandomForestClassifier(random_state=0),
    ],
)
def test_any_estimator_of_several_themes_will_do(last, land_codebook, land_paragraphs, tmp_path):
    book = Codebook.load(land_codebook)
    estimator = make_pipeline(CountVectorizer(token_pattern=r"(?u)[a-z]+|\w"), last)
    model = capthemes.train(
        {"land": land_paragraphs}, name="mine", family="pipeline", codebook=book, estimator=estimator
    )
    model.save(tmp_path / "mine")
    tree = ["sklearn.tree._tree.Tree"] if isinstance(last, RandomForestClassifier) else []
    found = capthemes.load(tmp_path / "mine", trusted=tree).predict(
        ["Plot 3 for a plant was sold.", "第9块耕地得到保护。"]
    )
    assert found.probabilities.theme.argmax(axis=1).tolist() == [0, 1]
    assert {label.stance for labels in found for label in labels} <= {None}
    assert model.about["scores"][0]["stance_macro_f1"] is None


def test_a_pipeline_must_be_given_and_must_learn_several_themes(land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    with pytest.raises(ModelError, match="needs an estimator"):
        Pipeline.fit(land_paragraphs, book, 0)
    with pytest.raises(ModelError, match="OneVsRestClassifier"):
        Pipeline.fit(land_paragraphs, book, 0, estimator=make_pipeline(TfidfVectorizer(), LogisticRegression()))


def test_one_theme_alone_will_do(one_theme):
    path, gold = one_theme
    for last in (LogisticRegression(C=100), LinearSVC()):
        estimator = make_pipeline(CountVectorizer(token_pattern=r"(?u)[a-z]+|\w"), last)
        family = Pipeline.fit(gold, Codebook.load(path), 0, estimator=estimator)
        assert (family.predict_proba(["第9块耕地得到保护。", "A plant."]).theme > 0.5).tolist() == [[True], [False]]


def test_a_theme_without_examples_has_probability_nought(land_codebook, land_paragraphs):
    estimator = make_pipeline(TfidfVectorizer(), RandomForestClassifier(random_state=0))
    english = [p for p in land_paragraphs if not p.text.startswith("第")]
    found = Pipeline.fit(english, Codebook.load(land_codebook), 0, estimator=estimator).predict_proba(["a plant"])
    assert found.theme[0, 1] == 0


def test_code_in_a_saved_pipeline_is_not_run(land_codebook, land_paragraphs, tmp_path):
    book = Codebook.load(land_codebook)
    estimator = make_pipeline(FunctionTransformer(np.asarray), TfidfVectorizer(preprocessor=shout))
    estimator = make_pipeline(*[step for _, step in estimator.steps], OneVsRestClassifier(LogisticRegression()))
    Pipeline.fit(land_paragraphs, book, 0, estimator=estimator).save(tmp_path)
    with pytest.raises(ModelError, match=r"not trusted: .*shout"):
        Pipeline.load(tmp_path, book)
    (tmp_path / "pipeline.skops").write_bytes(b"PK\x03\x04 and nothing")
    with pytest.raises(ModelError, match="cannot be read"):
        Pipeline.load(tmp_path, book)


def shout(text: str) -> str:
    return text.upper()


def test_a_language_inference_model_is_asked_the_codebooks_sentences(land_codebook):
    book = Codebook.load(land_codebook)
    asked = list(hypotheses(book.theme("farmland"), book))
    assert asked == [
        "This is about farmland: Arable land, its loss and protection.",
        "The stance toward protecting farmland is supportive: it for it.",
        "The stance toward protecting farmland is critical: it against it.",
        "The voice on farmland is author: the writer.",
        "The voice on farmland is attributed: someone cited.",
    ]


def test_zero_shot_reads_entailment_against_contradiction(land_codebook, options, monkeypatch):
    family = ZeroShot(Codebook.load(land_codebook), options["zeroshot"]["encoder"])
    asked = []

    def entailment(self, pairs):
        asked.extend(pairs)
        return np.array([4.0 if "farmland" in hypothesis else -4.0 for _, hypothesis in pairs])

    monkeypatch.setattr(ZeroShot, "_entailment", entailment)
    found = family.predict_proba(["a", "b"])
    assert len(asked) == 2 * 2 * 5
    assert [pair[0] for pair in asked] == ["a"] * 10 + ["b"] * 10
    assert (found.theme > 0.5).tolist() == [[False, True]] * 2


def test_a_model_without_entailment_is_refused(land_codebook, tiny_encoder):
    with pytest.raises(ModelError, match="tells no entailment; its labels are: label_0, label_1"):
        ZeroShot(Codebook.load(land_codebook), tiny_encoder).predict_proba(["a"])
    with pytest.raises(ModelError, match="needs a language-inference model"):
        ZeroShot.fit([], Codebook.load(land_codebook), 0)


def test_every_command_that_loads_a_model_takes_the_word_of_trust_that_errors_advise(
    land_codebook, land_paragraphs, tmp_path, capsys
):
    own = make_pipeline(CountVectorizer(), RandomForestClassifier(n_estimators=5, random_state=0))
    book = Codebook.load(land_codebook)
    model = capthemes.train({"land": land_paragraphs}, name="mine", family="pipeline", codebook=book, estimator=own)
    model.save(tmp_path / "mine")
    rows = [{"text": p.text, "labels": [{"theme": x.theme} for x in p.labels]} for p in land_paragraphs]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    trust = ["-m", str(tmp_path / "mine"), "--trusted", "sklearn.tree._tree.Tree"]
    for command in (
        ["label", str(tmp_path / "rows.jsonl"), "-o", str(tmp_path / "run.parquet")],
        ["explain", "A plant was sold."],
        ["report", str(tmp_path / "run.parquet"), "-o", str(tmp_path / "r.html")],
        ["calibrate", str(tmp_path / "rows.jsonl"), "-o", str(tmp_path / "cal")],
    ):
        assert main([*command, *trust[:2]]) == 1
        assert "--trusted" in capsys.readouterr().err
        assert main([*command, *trust]) == 0
