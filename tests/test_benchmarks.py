"""The measurements of the data: small cases by hand, and tables that are not stale."""

import json
from dataclasses import replace

import pytest
from benchmarks import ablation, data, fewshot, fingerprints, leaks, queue
from benchmarks.grams import spelled

from capthemes.codebook import Codebook
from capthemes.records import Paragraph
from conftest import ROOT


def paragraph(id: str, text: str, **meta) -> Paragraph:
    return Paragraph(id, text, (), {"writer": "w1", **meta})


def test_shingles_of_both_scripts():
    assert leaks.shingles("One two three four five six seven, EIGHT nine.") == {
        "one two three four five six seven eight",
        "two three four five six seven eight nine",
    }
    assert leaks.shingles("一二三四五六，七八九十甲乙丙") == {"一二三四五六七八九十甲乙", "二三四五六七八九十甲乙丙"}
    assert leaks.shingles("too short") == set()


def test_near_duplicates_are_found_within_and_against():
    text = "the mills of the province were told to cut their output by a tenth this year"
    ones = [paragraph("a", text), paragraph("b", f"{text} and the next"), paragraph("c", "nothing of the kind at all")]
    assert [pair[:2] for pair in leaks.pairs(ones)] == [("a", "b")]
    assert leaks.pairs(ones)[0][2] == 1.0
    assert leaks.pairs(ones[2:], ones[:2]) == []
    published = [paragraph("r", text)]
    found = leaks.measure(ones, {"train": [paragraph("t", text)], "test": [paragraph("u", text)]}, {"dev": published})
    assert found["written"] == {"sharing": 1, "near": 1, "largest": 1.0}
    assert found["written, two writers"]["near"] == 0
    assert found["written and dev"]["near"] == 2
    assert found["references, two splits"]["near"] == 1
    assert found["references"]["near"] == 1
    same_split = leaks.measure([], {"train": [paragraph("t", text), paragraph("u", text)]}, {"dev": []})
    assert (same_split["references"]["near"], same_split["references, two splits"]["near"]) == (1, 0)
    assert found["references and dev"]["near"] == 2
    grouped = [paragraph("a", text, group="g"), paragraph("b", text, group="g")]
    assert leaks.measure(grouped, {}, {"dev": []})["written"]["sharing"] == 0


@pytest.mark.skipif(not data.RESULTS.exists(), reason="the sets have not been measured yet")
def test_the_data_sheet_shows_what_was_measured_last_and_it_is_not_stale():
    results = json.loads(data.RESULTS.read_text(encoding="utf-8"))
    sheet = data.SHEET.read_text(encoding="utf-8")
    assert data.rendered(sheet, results) == sheet
    codebook = Codebook.load()
    assert results["codebook"] == codebook.version
    assert results["counts"] == json.loads(json.dumps(data.counts(codebook)))
    assert data.stale(results) == [], "python -m benchmarks data --real FOLDER"


def test_what_was_measured_on_other_labels_is_stale(tmp_path, monkeypatch):
    now = data.files_fingerprint()
    assert data.stale({"measured_on": {"counts": now, "leaks": "0" * 64}}) == ["leaks"]
    own = tmp_path / "written" / "annotators" / "whole.jsonl"
    own.parent.mkdir(parents=True)
    monkeypatch.setattr(data, "home", lambda kind: tmp_path)
    fingerprints = set()
    for row in ('{"id": "1", "labels": []}\n', '{"id": "1", "labels": [{"theme": "involution"}]}\n'):
        own.write_text(row, encoding="utf-8")
        fingerprints.add(data.files_fingerprint())
    assert len(fingerprints) == 2


@pytest.mark.parametrize("published", [False, True])
def test_the_data_is_measured_where_nothing_was_measured_before(published, tmp_path, monkeypatch):
    measured = json.loads(data.RESULTS.read_text(encoding="utf-8"))
    sheet = tmp_path / "README.md"
    sheet.write_text(data.SHEET.read_text(encoding="utf-8").replace("| set | train |", "| |"), encoding="utf-8")
    monkeypatch.setattr(data, "SHEET", sheet)
    monkeypatch.setattr(data, "RESULTS", tmp_path / "results" / "data.json")
    monkeypatch.setattr(data, "agreements", lambda codebook: measured["agreement"])
    parts = ["counts", "agreement"]
    if published:
        (tmp_path / "articles").mkdir()
        (tmp_path / "articles" / "a.txt").write_text("A plant.", encoding="utf-8")
        for name in ("dev", "pool"):
            (tmp_path / f"{name}.jsonl").write_text('{"id": "1", "text": "A plant.", "labels": []}\n', encoding="utf-8")
        monkeypatch.setattr(data, "sources", lambda real: [real / "pool.jsonl"])
        monkeypatch.setattr(data.leaks, "measure", lambda *given: measured["leaks"])
        monkeypatch.setattr(data.fingerprints, "measure", lambda *given: measured["fingerprints"]["now"])
        monkeypatch.setattr(data.curve, "measure", lambda *given: measured["curve"])
        parts += ["leaks", "fingerprints", "curve"]
    data.run(tmp_path if published else None)
    assert "| set | train |" in sheet.read_text(encoding="utf-8")
    results = json.loads(data.RESULTS.read_text(encoding="utf-8"))
    assert results["measured_on"] == dict.fromkeys(parts, data.files_fingerprint())


def test_the_ablation_shows_what_was_measured_last():
    sheet = ablation.SHEET.read_text(encoding="utf-8")
    assert ablation.rendered(sheet) == sheet
    assert "| n-grams, both |" in sheet


def test_labels_saved_are_read_off_the_curve():
    random = [0.1, 0.2, 0.3, 0.4]
    assert queue.saved([0.1, 0.3, 0.5, 0.6], random) == pytest.approx(1 - 250 / 400)
    assert queue.saved([0.5, 0.5, 0.5, 0.5], random) == pytest.approx(0.75)
    assert queue.saved([0.1, 0.2, 0.3, 0.39], random) is None
    assert queue.saved(random, random) == 0
    assert queue.saved([0.1, 0.4, 0.4, 0.4], [0.1, 0.2, 0.4, 0.3]) == pytest.approx(1 / 3)


def test_the_sheet_of_the_queue_shows_what_was_measured_last():
    sheet = queue.SHEET.read_text(encoding="utf-8")
    results = json.loads(queue.RESULTS.read_text(encoding="utf-8"))
    assert queue.rendered(sheet, results) == sheet
    assert "| uncertainty | 0." in sheet


def test_cards_are_drawn_again_to_the_same_words():
    import subprocess
    import sys

    drawn = subprocess.run([sys.executable, ROOT / "annotations" / "cards.py"], capture_output=True, check=True).stdout
    assert drawn == (ROOT / "annotations" / "written" / "cards.jsonl").read_bytes()


def test_the_few_shot_curves_show_what_was_measured_last():
    sheet = fewshot.SHEET.read_text(encoding="utf-8")
    assert fewshot.rendered(sheet) == sheet
    assert "| 64 | fewshot |" in sheet


def test_ngrams_are_spelled_for_readers():
    assert list(spelled("Made in\nChina 产能")) == [
        "made", "in", "made in", "china", "in china", "产", "能", "产能",
    ]  # fmt: skip


def test_a_writers_fingerprint_is_found_where_there_is_one():
    texts = [f"{word} mills and {i} kilns" for i in range(30) for word in ("steel", "cement")]
    written = [Paragraph(str(i), text, (), {"writer": text.split()[0], "lang": "en"}) for i, text in enumerate(texts)]
    published = [Paragraph(f"p{i}", f"exports of wine {i}", (), {"doc": str(i)}) for i in range(30)]
    found = fingerprints.measure([*written, *_in_chinese(written)], [*published, *_in_chinese(published)])
    assert found["English"]["accuracy"] == found["English"]["auroc"] == 1
    assert "mills" in found["English"]["written"]
    assert "exports of" in found["English"]["published"]


def _in_chinese(paragraphs):
    return [replace(p, id=f"zh{p.id}", text="".join(chr(0x4E00 + ord(c)) for c in p.text)) for p in paragraphs]
