import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

import capthemes
from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.errors import GuaranteeWarning, InputError, ModelError
from capthemes.guarantee import HeldOut, precision_bound, recall_bound, sure
from capthemes.records import Label, Paragraph, Probabilities
from capthemes.runs import open_run
from capthemes.sampling import draw, read_sample
from capthemes.training import train

SPLITS = 1000


def held_out(n: int = 800, per_document: int = 4, seed: int = 0) -> HeldOut:
    """Two themes, documents whose probabilities lean one way, Chinese ones lower than English ones."""
    rng = np.random.default_rng(seed)
    document = np.arange(n) // per_document
    language = (document % 3 == 0).astype(np.intp)
    truth = rng.random((n, 2)) < [0.4, 0.25]
    lean = rng.normal(0, 0.7, document.max() + 1)[document]
    log_odds = 2.2 * truth - 1.2 + rng.normal(0, 1, (n, 2)) + lean[:, None] - 0.5 * language[:, None]
    return HeldOut(("a", "b"), 1 / (1 + np.exp(-log_odds)), truth, document, language)


def part(whole: HeldOut, documents: np.ndarray) -> HeldOut:
    rows = np.isin(whole.document, documents)
    return HeldOut(whole.themes, whole.probability[rows], whole.truth[rows], whole.document[rows], whole.language[rows])


def document_recall(p, documents, threshold) -> float:
    place = np.unique(documents, return_inverse=True)[1]
    return float(np.mean(np.bincount(place, weights=p >= threshold) / np.bincount(place)))


def test_a_recall_bound_by_hand():
    p = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert recall_bound(p, np.arange(9), 0.1) == 0.1  # (0 + 1) / 10: none may be lost
    assert recall_bound(p, np.arange(9), 0.2) == 0.2
    assert recall_bound(p[:8], np.arange(8), 0.1) is None
    assert (
        recall_bound(p, np.array([0, 0, 1, 2, 3, 4, 5, 6, 7]), 0.2) == 0.2
    )  # half a document may be lost, not a whole
    assert recall_bound(np.full(9, 0.5), np.arange(9), 0.2) == 0.5


def test_mapie_finds_the_same_recall_threshold():
    risk = pytest.importorskip("mapie.risk_control")
    p = np.random.default_rng(0).random(199)
    peer = risk.MultiLabelClassificationController(
        lambda rows: rows, risk="recall", method="crc", target_level=0.9025, predict_params=np.sort(p) - 1e-9
    )
    peer.calibrate(p[:, None], np.ones((199, 1), dtype=int))
    assert recall_bound(p, np.arange(199), 0.0975) == pytest.approx(float(peer.best_predict_param[0]), abs=1e-6)


def test_mean_recall_over_a_thousand_splits_is_what_was_asked_for_in_all_and_in_each_language():
    whole, rng = held_out(), np.random.default_rng(1)
    reached: dict[int, list[float]] = {-1: [], 0: [], 1: []}
    for _ in range(SPLITS):
        fit = rng.permutation(200)[:100]
        for language in reached:
            rows = np.isin(whole.document, fit)
            of = (whole.language == language) | (language < 0)
            has = whole.truth[:, 0] & of
            threshold = recall_bound(whole.probability[has & rows, 0], whole.document[has & rows], 0.1)
            reached[language].append(
                document_recall(whole.probability[has & ~rows, 0], whole.document[has & ~rows], threshold)
            )
    for language, recalls in reached.items():
        mean, error = np.mean(recalls), np.std(recalls) / np.sqrt(SPLITS)
        assert mean >= 0.9 - 2 * error, language
        assert mean < 0.96, language  # not by giving everything


def test_precision_holds_in_nine_of_ten_splits():
    rng = np.random.default_rng(2)
    wrong, found = 0, 0
    for seed in range(200):
        whole = held_out(1200, 1, seed=seed)
        bound = precision_bound(whole.probability[:600, 0], whole.truth[:600, 0], whole.document[:600], 0.8, 0.1)
        fresh = held_out(20000, 1, seed=1000 + seed)
        if bound is not None:
            found += 1
            wrong += fresh.truth[fresh.probability[:, 0] >= bound, 0].mean() < 0.8
    assert found > 150
    assert wrong / 200 <= 0.1 + 2 * np.sqrt(0.09 / 200)
    assert precision_bound(rng.random(500), rng.random(500) < 0.5, np.arange(500), 0.8, 0.1) is None


def test_one_languages_bound_may_be_that_of_all_and_it_says_so():
    whole = held_out()
    few = part(whole, np.r_[np.flatnonzero(np.arange(200) % 3), [0, 3, 6]])  # three Chinese documents
    guarantee = few.guarantee(Decision.plain(("a", "b")), 0.9, None)
    assert {(b.language, b.holds) for b in guarantee.bounds} == {
        ("en", "in the language"),
        ("zh", "over all languages"),
    }
    assert guarantee.warnings == ("recall of 0.9 holds over English and Chinese together, not within zh, for a, b",)
    none = part(whole, np.arange(4)).guarantee(Decision.plain(("a", "b")), 0.9, 0.8)
    assert {b.threshold for b in none.bounds if b.kind == "recall"} == {0.5}
    assert {b.threshold for b in none.bounds if b.kind == "precision"} == {np.inf}
    assert "too few held-out documents; they are never given" in none.warnings[-1]


def test_bounds_are_on_the_calibrated_scale():
    whole, plain = held_out(), Decision.plain(("a", "b"))
    bent = replace(plain, themes={name: replace(n, slope=0.5, intercept=-1.0) for name, n in plain.themes.items()})
    raw, calibrated = whole.guarantee(plain, 0.9, None).bounds[0], whole.guarantee(bent, 0.9, None).bounds[0]
    as_raw = bent.calibrate(Probabilities(("a", "b"), (), (), np.array([[raw.threshold] * 2]))).theme[0, 0]
    assert calibrated.threshold == pytest.approx(as_raw)


def test_rates_are_those_of_the_decision():
    whole = held_out()
    sensitivity, specificity = whole.rates(Decision.plain(("a", "b")))["a"]
    given = whole.probability[:, 0] >= 0.5
    assert sensitivity == given[whole.truth[:, 0]].mean()
    assert specificity == (~given)[~whole.truth[:, 0]].mean()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from conftest import CODEBOOK

    path = tmp_path_factory.mktemp("book") / "land.md"
    path.write_text(CODEBOOK, encoding="utf-8")
    made = []
    for i in range(60):
        made += [
            Paragraph(f"a{i}", f"Plot {i} for a plant was sold.", (Label("industrial_land", "supportive", "author"),)),
            Paragraph(f"b{i}", f"第{i}块耕地得到保护。", (Label("farmland", "supportive", "author"),)),
            Paragraph(f"c{i}", f"The choir sang {i} songs."[i % 7 :], ()),
        ]
    return train({"land": made}, name="land", family="linear", codebook=Codebook.load(path))


def test_a_trained_model_guarantees_and_its_folder_keeps_it(model, tmp_path):
    texts = ["Plot 99 for a plant was sold.", "The choir sang.", "A plant and a choir."]
    model.save(tmp_path / "land")
    loaded = capthemes.load(tmp_path / "land")
    with pytest.warns() as told:
        found = loaded.predict(texts, recall=0.9)
    assert {str(warning.message) for warning in told} == {
        f"recall of 0.9 holds over English and Chinese together, not within {language}, for {theme}"
        for language, theme in (("en", "farmland"), ("zh", "industrial_land"))
    }
    assert found.guarantee.how == "cross-validated"
    assert [label.theme for label in found[0]] == ["industrial_land"]
    assert found.open == ((), (), ())
    assert np.array_equal(loaded.held_out.probability, model.held_out.probability)
    assert [label.theme for label in found.with_thresholds(0.0)[1]] != []


def test_between_precision_and_recall_it_abstains():
    whole, fresh = held_out(4000, 1), held_out(300, 1, seed=1)
    said, texts = (
        Probabilities(("a", "b"), (), (), fresh.probability),
        ["过剩" if x else "steel" for x in fresh.language],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GuaranteeWarning)
        both, sets, right = (
            sure(whole, Decision.plain(("a", "b")), texts, said, recall, precision)
            for recall, precision in ((0.95, 0.9), (0.95, None), (None, 0.9))
        )
    assert list(both) == list(right)
    assert any(right)
    assert any(both.open)
    assert not any(sets.open)
    for given, left, whole_set in zip(both, both.open, sets, strict=True):
        assert {x.theme for x in whole_set} == {x.theme for x in given} | set(left)
        assert not {x.theme for x in given} & set(left)


def test_a_model_without_held_out_paragraphs_says_what_to_do(model):
    bare = replace(model, held_out=None)
    assert bare.predict(["A plant."])
    with pytest.raises(ModelError, match="capthemes calibrate"):
        bare.predict(["A plant."], recall=0.9)


def test_labelled_paragraphs_of_ones_own_make_a_guarantee(model):
    own = [Paragraph(f"x{i}", f"Plot {i} for a plant.", (Label("industrial_land"),)) for i in range(30)]
    fitted = replace(model, held_out=None).calibrated(own, "mine")
    assert (fitted.name, fitted.held_out.how, len(fitted.held_out.truth)) == ("mine", "held out", 30)
    stratified = [replace(own[0], meta={"stratum": "any 0.00-0.05"})]
    with pytest.raises(InputError, match="drawn from a stratum"):
        model.calibrated(stratified)
    for unread in (replace(own[3], labels=None), replace(own[3], meta={"read": ["industrial_land"]})):
        with pytest.raises(InputError, match="'x3' was not read for all themes of land"):
            model.calibrated([*own[:3], unread, *own[4:]])


@pytest.mark.parametrize("rate", [0, 1, 1.5, True, "most"])
def test_a_rate_that_is_none_is_refused(model, rate):
    with pytest.raises(InputError, match="cannot be guaranteed"):
        model.predict(["A plant."], recall=rate)


def test_arrays_come_back_however_they_lie_in_memory(tmp_path):
    whole = held_out(40)
    strided = replace(
        whole,
        probability=np.stack([1 - whole.probability, whole.probability], axis=-1)[:, :, 1],
        truth=np.asfortranarray(whole.truth),
    )
    strided.save(tmp_path / "held_out.safetensors")
    loaded = HeldOut.load(tmp_path / "held_out.safetensors")
    assert (loaded.probability == whole.probability).all()
    assert (loaded.truth == whole.truth).all()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("probability", lambda x: x * np.nan),
        ("probability", lambda x: x[:, :1]),
        ("truth", lambda x: x[:-1]),
        ("language", lambda x: x + 7),
    ],
)
def test_numbers_that_do_not_fit_are_refused(model, tmp_path, name, damage):
    path = tmp_path / "held_out.safetensors"
    model.held_out.save(path)
    with safe_open(path, framework="np") as file:
        about = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, no dict
    save_file({**tensors, name: np.ascontiguousarray(damage(tensors[name]))}, path, about)
    with pytest.raises(ModelError, match="fetch the model anew"):
        HeldOut.load(path)


def test_a_broken_file_is_refused(tmp_path):
    path = tmp_path / "held_out.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be read"):
        HeldOut.load(path)


def test_a_sample_of_whole_documents_is_calibrated_by_documents(model, tmp_path):
    """It counted every paragraph as a document, so that guarantees held by far too few of them."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for d in range(8):
        (corpus / f"d{d}.txt").write_text("\n\n".join(f"Plot {6 * d + i} for a plant." for i in range(6)))
    rows = [{"text": f"Plot {i} for a plant.", "document": f"d{i // 4}"} for i in range(60)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for given, column in ((corpus, "document"), (tmp_path / "rows.jsonl", "input_document")):
        capthemes.label_corpus([given], tmp_path / f"{column}.parquet", model=model)
        drawn = draw(open_run(tmp_path / f"{column}.parquet"), 30, documents=column)
        path = tmp_path / f"{column}.jsonl"
        path.write_text("".join(json.dumps(row | {"labels": []}) + "\n" for row in drawn))
        own, _ = read_sample(path, model.codebook)
        documents = len({row[column] for row in drawn})
        assert documents < 10
        assert len(np.unique(model.calibrated(own).held_out.document)) == documents
    with pytest.raises(InputError, match="drawn by 'input_document', which 'document' takes apart"):
        model.calibrated(own, document="document")
    assert len(np.unique(model.calibrated(own, document="lang").held_out.document)) == 1
    with pytest.raises(InputError, match="no paragraph has a column 'book'"):
        model.calibrated(own, document="book")
