"""The contract that every family keeps."""

import inspect

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capthemes.codebook import Codebook
from capthemes.errors import ModelError
from capthemes.families import FAMILIES, family_class
from capthemes.families.keywords import phrases

ODD = [
    "",
    " \n",
    "a" * 1_000_000,
    "😀👩‍👩‍👧",
    "\ud800 lone",
    "\x00",
    "مرحبا بالعالم",
    "产" * 100_000,
    "Ｆｕｌｌ　ｗｉｄｔｈ",
    "\U00020000",
]


@pytest.fixture(params=sorted(FAMILIES))
def family(request, land_codebook, land_paragraphs, options):
    named = options.get(request.param, {})
    return family_class(request.param).fit(land_paragraphs, Codebook.load(land_codebook), seed=0, **named)


@pytest.fixture
def tolerance(family) -> float:
    """None, but for networks, whose sums depend on how a batch was padded."""
    return 1e-4 if type(family).__name__ in ("Ensemble", "FewShot", "Transformer", "ZeroShot") else 0.0


def same(a, b, tolerance=0.0) -> bool:
    return all(
        (x is None and y is None) or np.allclose(x, y, rtol=0, atol=tolerance)
        for x, y in ((a.theme, b.theme), (a.stance, b.stance), (a.voice, b.voice))
    )


def test_shapes_and_ranges(family, land_paragraphs):
    texts = [p.text for p in land_paragraphs] + ODD
    found = family.predict_proba(texts)
    assert found.themes == ("industrial_land", "farmland")
    assert found.theme.shape == (len(texts), 2)
    assert ((found.theme >= 0) & (found.theme <= 1)).all()
    for values, names in ((found.stance, found.stances), (found.voice, found.voices)):
        assert (values is None) == (names == ())
        if values is not None:
            assert values.shape == (len(texts), 2, len(names))
            assert values.sum(axis=2) == pytest.approx(1)


def test_no_texts_give_no_rows(family):
    assert family.predict_proba([]).theme.shape == (0, 2)


def test_batch_and_order_change_nothing(family, tolerance, land_paragraphs):
    texts = [p.text for p in land_paragraphs] + ODD
    whole = family.predict_proba(texts)
    backwards = family.predict_proba(texts[::-1])
    assert same(whole, backwards[np.arange(len(texts))[::-1]], tolerance)
    for i in (0, 17, len(texts) - 1):
        assert same(whole[i : i + 1], family.predict_proba([texts[i]]), tolerance)


def test_what_is_saved_loads_to_the_same_probabilities(family, land_paragraphs, land_codebook, tmp_path):
    family.save(tmp_path)
    own = {"trusted": True} if "trusted" in inspect.signature(type(family).load).parameters else {}
    loaded = type(family).load(tmp_path, Codebook.load(land_codebook), **own)
    texts = [p.text for p in land_paragraphs]
    tolerance = 1e-4 if type(family).__name__ == "FewShot" else 0.0  # it remembers what it read in other batches
    assert same(family.predict_proba(texts), loaded.predict_proba(texts), tolerance)


def test_fitting_twice_gives_the_same_bytes(request, family, land_paragraphs, land_codebook, options, tmp_path):
    name = request.node.callspec.params["family"]
    if name == "pipeline":
        pytest.skip("skops numbers what it saves by its place in memory")
    named = options.get(name, {})
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        type(family).fit(land_paragraphs, Codebook.load(land_codebook), seed=0, **named).save(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(codec=None), max_size=80), max_size=5))
def test_any_text_is_answered(family, texts):
    found = family.predict_proba(texts)
    assert len(found) == len(texts)
    assert np.isfinite(found.theme).all()


def test_an_unknown_family_lists_the_known_ones():
    with pytest.raises(
        ModelError,
        match="no family 'magic'; there are: ensemble, fewshot, joint, keywords, linear, pipeline, transformer, ",
    ):
        family_class("magic")


def test_keywords_are_the_codebooks_own_short_phrases():
    overcapacity = phrases(Codebook.load().theme("overcapacity"))
    assert {"overcapacity", "产能过剩", "idle plants", "low utilisation", "closing outdated plants"} <= overcapacity
    assert all(len(phrase.split()) <= 3 for phrase in overcapacity)
    family = family_class("keywords").fit([], Codebook.load(), 0)
    found = family.predict_proba(["Idle plants and GLUTS.", "去产能：产能过剩", "A hospital."])
    assert found.theme[:, 0].tolist() == [2 / 3, 0.5, 0.0]
