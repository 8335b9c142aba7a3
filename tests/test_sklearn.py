"""The numeric head passes scikit-learn's own checks; the text estimator keeps the contract of these 27 tests."""

import pickle

import numpy as np
import pandas
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from capthemes.errors import InputError, TextTypeError
from capthemes.families.head import ThemeHead, regressions
from capthemes.records import theme_matrix
from capthemes.sklearn import ThemeClassifier

THEMES = ("industrial_land", "farmland")


@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks provoke its own warnings
@parametrize_with_checks([ThemeHead(), ThemeHead(balanced=False)])
def test_the_numeric_head_passes_every_check_of_scikit_learn(estimator, check):
    check(estimator)


def test_the_head_is_one_balanced_logistic_regression_for_each_theme():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(60, 4)), rng.random((60, 3)) < 0.3
    oracle = OneVsRestClassifier(LogisticRegression(C=2, class_weight="balanced", tol=1e-8)).fit(X, Y.astype(int))
    assert ThemeHead(C=2).fit(X, Y.astype(int)).predict_proba(X) == pytest.approx(oracle.predict_proba(X), abs=1e-5)


def test_a_theme_without_examples_has_the_log_odds_of_its_share():
    weights, bias = regressions(np.ones((4, 2)), np.zeros((4, 1), dtype=bool))
    assert (weights.tolist(), bias.tolist()) == ([[0, 0]], [np.log(0.5 / 4.5)])


@pytest.fixture
def texts(land_paragraphs):
    return [p.text for p in land_paragraphs]


@pytest.fixture
def Y(land_paragraphs):  # noqa: N802
    return theme_matrix(land_paragraphs, THEMES).astype(int)


@pytest.fixture
def fitted(texts, Y):
    return ThemeClassifier().fit(texts, Y)


class TestContract:
    def test_01_parameters_are_those_of_the_constructor(self):
        assert ThemeClassifier(C=3).get_params() == {"features": "ngrams", "C": 3, "balanced": True, "encoder": None}

    def test_02_parameters_can_be_set_and_unknown_ones_are_refused(self):
        assert ThemeClassifier().set_params(C=2).C == 2
        with pytest.raises(ValueError, match="Invalid parameter"):
            ThemeClassifier().set_params(depth=2)

    def test_03_the_constructor_checks_nothing_and_fit_does(self, texts, Y):
        with pytest.raises(InputError, match="features 'pixels'"):
            ThemeClassifier(features="pixels").fit(texts, Y)

    def test_04_a_clone_has_the_parameters_and_is_not_fitted(self, fitted, texts):
        copy = clone(fitted.set_params(C=7))
        assert copy.C == 7
        with pytest.raises(NotFittedError):
            copy.predict(texts)

    def test_05_fit_returns_the_estimator_and_leaves_its_parameters(self, texts, Y):
        estimator = ThemeClassifier()
        before = estimator.get_params()
        assert estimator.fit(texts, Y) is estimator
        assert estimator.get_params() == before

    def test_06_what_is_not_fitted_says_so(self, texts):
        for method in ("predict", "predict_proba", "decision_function", "transform"):
            with pytest.raises(NotFittedError):
                getattr(ThemeClassifier(), method)(texts)

    def test_07_predictions_have_the_form_of_y(self, fitted, texts, Y):
        found = fitted.predict(texts)
        assert found.shape == Y.shape
        assert set(np.unique(found)) == {0, 1}

    def test_08_probabilities_are_a_column_for_each_theme(self, fitted, texts, Y):
        found = fitted.predict_proba(texts)
        assert found.shape == Y.shape
        assert ((found > 0) & (found < 1)).all()

    def test_09_predictions_probabilities_and_margins_agree(self, fitted, texts):
        assert ((fitted.predict_proba(texts) > 0.5) == fitted.predict(texts)).all()
        assert ((fitted.decision_function(texts) > 0) == fitted.predict(texts)).all()

    def test_10_it_learns(self, fitted):
        found = fitted.predict(["Plot 77 for a plant was sold.", "这块耕地得到保护。", "The choir sang."])
        assert found.tolist() == [[1, 0], [0, 1], [0, 0]]

    def test_11_fitting_again_gives_the_same_bits(self, fitted, texts, Y):
        assert (ThemeClassifier().fit(texts, Y).predict_proba(texts) == fitted.predict_proba(texts)).all()

    def test_12_fitting_on_other_data_forgets_the_first(self, texts, Y):
        twice = ThemeClassifier().fit(texts, Y).fit(texts[:20], Y[:20])
        once = ThemeClassifier().fit(texts[:20], Y[:20])
        assert (twice.predict_proba(texts) == once.predict_proba(texts)).all()

    def test_13_neither_texts_nor_y_are_changed(self, texts, Y):
        before = list(texts), Y.copy()
        ThemeClassifier().fit(texts, Y).predict(texts)
        assert texts == before[0]
        assert (before[1] == Y).all()

    def test_14_a_list_an_array_and_a_series_are_one(self, fitted, texts):
        whole = fitted.predict_proba(texts)
        for form in (np.array(texts), np.array(texts, dtype=object), pandas.Series(texts, index=range(9, 49))):
            assert (fitted.predict_proba(form) == whole).all()

    def test_15_a_bare_string_a_table_and_what_is_no_text_are_refused(self, fitted, texts, Y):
        for wrong in ("one text", pandas.DataFrame({"text": texts}), [1.5] * 40, [None] * 40):
            with pytest.raises(TextTypeError):
                fitted.predict(wrong)
            with pytest.raises(TextTypeError):
                ThemeClassifier().fit(wrong, Y)

    def test_16_as_many_labels_as_texts(self, texts, Y):
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            ThemeClassifier().fit(texts, Y[:-1])

    def test_17_one_class_a_text_will_do(self, texts, Y):
        names = np.where(Y[:, 0], "plots", np.where(Y[:, 1], "fields", "none"))
        estimator = ThemeClassifier().fit(texts, names)
        assert estimator.classes_.tolist() == ["fields", "none", "plots"]
        assert estimator.predict_proba(texts).sum(axis=1) == pytest.approx(1)
        assert (estimator.predict(texts) == names).all()

    def test_18_a_theme_without_examples_is_no_error(self, texts, Y):
        found = ThemeClassifier().fit(texts, np.column_stack([Y, np.zeros(40, dtype=int)])).predict_proba(texts)
        assert (found[:, 2] < 0.05).all()

    def test_19_a_weight_of_nought_is_a_text_left_out(self, texts, Y):
        weight = np.arange(40) % 2
        weighted = ThemeHead().fit(np.eye(40)[:, :5] + np.arange(40)[:, None] % 3, Y, weight)
        kept = ThemeHead().fit((np.eye(40)[:, :5] + np.arange(40)[:, None] % 3)[1::2], Y[1::2])
        assert weighted.coef_ == pytest.approx(kept.coef_, abs=1e-4)
        assert (ThemeClassifier().fit(texts, Y, weight * 1.0).predict_proba(texts) != 0.5).all()

    def test_20_weights_are_routed_through_a_pipeline_and_cross_validation(self, texts, Y):
        with sklearn.config_context(enable_metadata_routing=True):
            asked = ThemeClassifier().set_fit_request(sample_weight=True)
            pipeline = make_pipeline(FunctionTransformer(), asked)
            scorer = make_scorer(f1_score, average="micro").set_score_request(sample_weight=False)
            found = cross_validate(pipeline, texts, Y, cv=2, params={"sample_weight": np.ones(40)}, scoring=scorer)
            assert found["test_score"].shape == (2,)
            heavy = np.where(Y[:, 0], 100.0, 1.0)
            one = clone(pipeline).fit(texts, Y, sample_weight=heavy).predict_proba(texts)
            other = clone(pipeline).fit(texts, Y, sample_weight=np.ones(40)).predict_proba(texts)
            assert not np.allclose(one[:, 1], other[:, 1])

    def test_21_it_is_cross_validated(self, texts, Y):
        assert cross_val_score(ThemeClassifier(), texts, Y, cv=4, scoring="f1_micro").mean() > 0.9
        assert cross_val_predict(ThemeClassifier(), texts, Y, cv=4, method="predict_proba").shape == Y.shape

    def test_22_it_is_searched_over_a_grid(self, texts, Y):
        search = GridSearchCV(ThemeClassifier(), {"C": [1e-6, 10], "balanced": [False]}, cv=2, scoring="f1_micro")
        assert search.fit(np.array(texts), Y).best_params_ == {"C": 10, "balanced": False}

    def test_23_it_transforms_to_named_columns(self, texts, Y):
        named = pandas.DataFrame(Y, columns=THEMES)
        estimator = ThemeClassifier().set_output(transform="pandas").fit(texts, named)
        assert estimator.get_feature_names_out().tolist() == list(THEMES)
        assert estimator.transform(texts).columns.tolist() == list(THEMES)
        stacked = make_pipeline(ThemeClassifier(), StandardScaler(), LogisticRegression()).fit(texts, Y[:, 0])
        assert stacked.score(texts, Y[:, 0]) == 1

    def test_24_it_is_pickled_and_answers_the_same(self, fitted, texts):
        again = pickle.loads(pickle.dumps(fitted))
        assert (again.predict_proba(texts) == fitted.predict_proba(texts)).all()

    def test_25_scikit_learn_takes_it_for_a_classifier_of_texts_and_several_labels(self, fitted):
        tags = get_tags(fitted)
        assert is_classifier(fitted)
        assert (tags.input_tags.string, tags.input_tags.two_d_array, tags.classifier_tags.multi_label) == (
            True,
            False,
            True,
        )

    def test_26_one_theme_alone_has_a_column_without_it_and_one_with_it(self, texts, Y):
        named = pandas.DataFrame({"land": Y[:, 0]})
        estimator = ThemeClassifier().set_output(transform="pandas").fit(texts, named)
        assert estimator.get_feature_names_out().tolist() == ["0", "1"]
        assert estimator.transform(texts).columns.tolist() == ["0", "1"]

    def test_27_a_sparse_matrix_is_as_good_as_a_dense_one(self, fitted, texts, Y):
        for form in (scipy.sparse.csr_matrix, scipy.sparse.coo_array):
            assert (ThemeClassifier().fit(texts, form(Y)).predict_proba(texts) == fitted.predict_proba(texts)).all()


def test_sentences_are_features_too_and_are_pickled(texts, Y, tiny_encoder):
    estimator = ThemeClassifier(features="sentences", encoder=tiny_encoder).fit(texts, Y)
    again = pickle.loads(pickle.dumps(estimator))
    assert again.predict_proba(texts) == pytest.approx(estimator.predict_proba(texts), abs=1e-4)
