"""What to label next: strategies by hand, queues from labelled corpora; against small-text where it is installed.

CI does not install it and skips that test.
"""

import json

import numpy as np
import pytest

import capthemes
from capthemes import queue as queueing
from capthemes.errors import InputError
from capthemes.queue import STRATEGIES, candidates, entropies, everything, greedy_core_set, queue, thinnest
from capthemes.records import Label
from capthemes.rounds import Record
from capthemes.runs import open_run


def test_entropy_is_highest_in_the_middle():
    found = entropies(np.array([[0.0, 0.5, 1.0, 0.1]]))
    assert found[0] == pytest.approx([0, np.log(2), 0, 0.325083], abs=2e-5)


def test_uncertain_paragraphs_come_first_and_those_of_thin_themes_before_them():
    p = np.array([[0.5, 0.01], [0.01, 0.5], [0.8, 0.8], [0.01, 0.01]])
    have = np.array([100.0, 0.0])
    assert candidates(p, 4, "uncertainty", have).tolist() == [2, 0, 1, 3]
    assert candidates(p, 4, "mixed", have).tolist() == [1, 2, 0, 3]
    assert candidates(p, 2, "mixed", have).tolist() == [1, 2]
    assert sorted(candidates(p, 9, "random", have, seed=1)) == [0, 1, 2, 3]


def test_the_thinnest_theme_gets_its_likeliest_paragraph_in_turn():
    p = np.array([[0.9, 0.0, 0.1], [0.8, 0.0, 0.2], [0.0, 0.7, 0.3], [0.0, 0.6, 0.4]])
    assert thinnest(p, 4, np.array([5.0, 0.0, 0.5])).tolist() == [2, 3, 1, 0]
    assert thinnest(p, 9, np.zeros(3)).tolist() == [0, 2, 3, 1]


def test_the_core_set_is_small_texts():
    coresets = pytest.importorskip("small_text.query_strategies.coresets")
    for seed in range(5):
        vectors = np.random.default_rng(seed).normal(size=(40, 6))
        mine = greedy_core_set(vectors[:33], 12, vectors[33:])
        theirs = coresets.greedy_coreset(vectors, np.arange(33), np.arange(33, 40), 12, distance_metric="euclidean")
        assert mine.tolist() == theirs.tolist()


def test_far_apart_reads_both_scripts():
    texts = [
        "steel mills cut output",
        "steel mills cut their output",
        "钢铁产能过剩",
        "钢铁产能严重过剩",
        "choir songs",
    ]
    assert {min(2, int(i) // 2) for i in queueing.far_apart(texts, 3)} == {0, 1, 2}
    assert set(queueing.far_apart(texts, 1, labelled=[*texts[:2], texts[4]]).tolist()) <= {2, 3}
    assert queueing.far_apart([], 3).tolist() == []


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Sixty labelled paragraphs, two of them with one text."""
    folder = tmp_path_factory.mktemp("run")
    texts = [f"Steel mills of town {i} were told to cut output because supply far exceeds demand." for i in range(30)]
    texts += [f"The choir of town {i} sang." for i in range(28)] + ["各地不得违规出台招商引资优惠政策。"] * 2
    rows = [{"id": f"p{i}", "text": text, "year": 2000 + i} for i, text in enumerate(texts)]
    (folder / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    capthemes.label_corpus([folder / "x.jsonl"], folder / "x.parquet")
    return open_run(folder / "x.parquet")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_queue_leaves_out_what_is_labelled_and_said_twice(run, strategy):
    labelled = [
        Record("p0", "", {"ann": (Label("overcapacity"),)}),
        Record("other", "The choir of town 3 sang.", {"ann": ()}),
    ]
    found = queue(run, 99, strategy=strategy, labelled=labelled)
    ids = [record.id for record in found]
    assert len(set(ids)) == len(ids) == 57
    assert not {"p0", "p33"} & set(ids)
    assert len({"p58", "p59"} & set(ids)) == 1
    assert queue(run, 5, strategy=strategy, labelled=labelled) == queue(run, 5, strategy=strategy, labelled=labelled)
    assert len(queue(run, 5, strategy=strategy)) == 5


def test_queued_paragraphs_carry_the_models_labels(run):
    by_id = {record.id: record for record in everything(run)}
    assert len(by_id) == 60
    steel = by_id["p3"]
    assert steel.meta == {"lang": "en", "document": "p3", "position": 0, "year": 2003}
    assert steel.model == run.model
    assert steel.suggested[0].theme == "overcapacity"
    assert 0 < steel.suggested[0].probability <= 1
    assert queue(run, 60, strategy="random")[0] == by_id[queue(run, 60, strategy="random")[0].id]


def test_a_large_run_is_sampled(run, monkeypatch):
    monkeypatch.setattr(queueing, "POOL", 10)
    assert len(queue(run, 99, strategy="uncertainty")) <= 10


def test_a_runs_own_columns_do_not_say_what_a_person_read(tmp_path):
    row = {"id": "a", "text": "Steel mills cut output.", "read": 468, "stratum": "rural", "year": 2020}
    (tmp_path / "x.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    capthemes.label_corpus([tmp_path / "x.jsonl"], tmp_path / "x.parquet")
    (record,) = queue(open_run(tmp_path / "x.parquet"), 1)
    own = {"year": 2020, "input_read": 468, "input_stratum": "rural"}
    assert record.meta == {"lang": "en", "document": "a", "position": 0} | own


def test_what_cannot_be_queued(run, tmp_path):
    with pytest.raises(InputError, match="no strategy 'best'; there is: uncertainty"):
        queue(run, 5, strategy="best")
    with pytest.raises(InputError, match="cannot queue 0 paragraphs"):
        queue(run, 0)
    for path in (tmp_path, tmp_path / "none.parquet"):
        with pytest.raises(InputError, match="nor a labelled parquet file"):
            open_run(path)
