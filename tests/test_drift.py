import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from sklearn.metrics import roc_auc_score

from capthemes import annotations
from capthemes.drift import Profile, of_run
from capthemes.errors import ModelError
from capthemes.records import unit
from capthemes.runs import open_run
from conftest import ROOT

OTHER = json.loads((ROOT / "tests" / "other_text.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def profile() -> Profile:
    """Of a third of the written paragraphs, whole documents."""
    own = [p for p in annotations.paragraphs("written", "train") if hash_of(unit(p)) % 3 == 0]
    return Profile.fit([p.text for p in own], [unit(p) for p in own])


@pytest.fixture(scope="module")
def policy() -> list[str]:
    return [p.text for p in annotations.paragraphs("written", "test")][::2]


def hash_of(name: str) -> int:
    return sum(map(ord, name))


@pytest.mark.parametrize("kind", sorted(OTHER))
def test_other_text_is_told_from_policy_text(profile, policy, kind):
    inside, strange = profile.read(policy), profile.read(OTHER[kind])
    same = np.isin(inside.language, strange.language)
    truth = np.r_[np.zeros(same.sum()), np.ones(len(OTHER[kind]))]
    assert roc_auc_score(truth, np.r_[inside.surprise[same], strange.surprise]) > 0.93
    drift = profile.compare(OTHER[kind])
    assert drift.distance > 0.9
    assert "not the kind of text" in drift.warning


def test_text_of_the_same_kind_is_not_strange(profile, policy):
    drift = profile.compare(policy)
    assert abs(drift.distance - 0.5) < 0.1
    assert drift.outside < 0.03
    assert drift.unknown[0] == pytest.approx(drift.unknown[1], abs=0.03)
    assert drift.warning is None


def test_strange_documents_are_named(profile, policy):
    texts = [*policy[:40], *OTHER["recipes"]]
    drift = profile.compare(texts, [*(f"d{i // 4}" for i in range(40)), *["cookbook"] * 10])
    assert drift.documents == ("cookbook",)
    assert 0.15 < drift.outside < 0.3


def test_the_strangest_paragraphs_are_named_the_farthest_first(profile, policy):
    texts = [*policy[:40], *OTHER["recipes"]]
    read = profile.read(texts)
    drift = profile.compare(texts, ids=[str(i) for i in range(len(texts))])
    beyond = np.where(read.outside, read.surprise - read.usual, -1)
    assert [int(stray.id) for stray in drift.strangest] == np.argsort(-beyond)[:5].tolist()
    assert all(stray.surprise > stray.usual for stray in drift.strangest)
    assert profile.compare(texts[40:42], ids=["a", "b"]).strangest[0].id in ("a", "b")
    assert profile.compare(texts).strangest == profile.compare([], ids=[]).strangest == ()


def test_a_word_is_known_from_two_documents_on():
    profile = Profile.fit(["steel mills", "steel works", "mills closed mills"], ["a", "b", "b"])
    assert profile.read(["steel mills works closed"]).unknown[0] == 0.5
    assert profile.read(["", "!?", "steel"]).words.tolist() == [0, 0, 1]
    assert profile.compare([]).warning is None


def test_a_training_text_without_common_words_knows_none():
    read = Profile.fit(["steel mills", "choir songs"]).read(["steel", ""])
    assert read.unknown.tolist() == [1.0, 0.0]


def test_the_mix_is_told(profile, policy):
    drift = profile.compare(policy)
    mix = f"{drift.chinese[0]:.0%} are Chinese ({drift.chinese[1]:.0%} there), half have {drift.words[0]:.0f} words"
    assert mix in str(drift)


def test_the_file_is_small_and_comes_back(profile, policy, tmp_path):
    path = tmp_path / "profile.safetensors"
    profile.save(path)
    assert path.stat().st_size < 400_000
    assert np.array_equal(Profile.load(path).read(policy[:50]).surprise, profile.read(policy[:50]).surprise)
    path.write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be read"):
        Profile.load(path)


def test_a_run_is_measured(profile, policy, tmp_path, monkeypatch):
    texts = [*policy, *OTHER["sport"]]
    ids = [f"p{i}" for i in range(len(texts))]
    columns = {
        "id": ids,
        "text": texts,
        "document": [f"d{i}" for i in range(len(texts))],
        "model": ["m@0"] * len(texts),
    }
    columns["sport"] = [None if i >= len(policy) else "policy" for i in range(len(texts))]
    p = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array([0.5] * len(texts), pyarrow.float32()), 1)
    table = pyarrow.table({**columns, "probabilities": p}).replace_schema_metadata(
        {"themes": '["a"]', "stances": "[]", "voices": "[]"}
    )
    pyarrow.parquet.write_table(table, tmp_path / "run.parquet", row_group_size=50)
    run = open_run(tmp_path / "run.parquet")
    whole = of_run(run, profile)
    assert whole.paragraphs == len(texts)
    assert whole.outside == pytest.approx(profile.compare(texts).outside)
    assert set(whole.strangest) == set(profile.compare(texts, ids=ids).strangest)
    alone = of_run(run, profile, "sport").documents
    assert len(alone) == sum(profile.read(OTHER["sport"]).outside)  # without a document each is its own
    assert all(name.startswith("paragraph p") for name in alone)
    monkeypatch.setattr("capthemes.drift.MOST", 100)
    assert of_run(run, profile).paragraphs == 100
