import json
import sys

import numpy as np
import pytest

from capthemes import annotations
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.records import Label, Paragraph


def test_the_starter_set_is_a_dataset_dict():
    loaded = annotations.load("starter")
    assert loaded["train"].num_rows == 602
    row = loaded["train"][0]
    assert set(row) == {"id", "text", "lang", "register", "year", "labels"}
    assert set(row["labels"][0]) == {"theme", "stance", "voice"}
    assert sorted(set(loaded["train"]["lang"])) == ["en", "en-mt", "zh"]


def test_without_datasets_it_is_plain_paragraphs(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    loaded = annotations.load("starter")
    assert loaded == {"train": annotations.paragraphs("starter")}
    assert loaded["train"][0].labels == (Label("overcapacity", "mixed", "attributed"),)


def test_every_label_of_the_bundled_sets_is_the_codebooks():
    names = set(Codebook.load().names)
    for name in annotations.names():
        found = annotations.paragraphs(name)
        assert len({p.id for p in found}) == len(found)
        assert {label.theme for p in found for label in p.labels} <= names


def test_a_file_or_folder_of_ones_own(tmp_path, land_codebook):
    rows = [{"text": "x", "labels": [{"theme": "farmland"}], "doc": "d"}, {"text": "y", "labels": []}]
    (tmp_path / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    codebook = Codebook.load(land_codebook)
    for source in (tmp_path, tmp_path / "dev.jsonl"):
        found = annotations.paragraphs(source, codebook=codebook)
        assert found == [Paragraph("1", "x", (Label("farmland"),), {"doc": "d"}), Paragraph("2", "y", ())]
    with pytest.raises(AnnotationError, match=r"no split 'test' in .*; there is: dev"):
        annotations.paragraphs(tmp_path, "test", codebook)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "not JSON"),
        ('{"text": "x"}', "needs a string 'text' and a list 'labels'"),
        ('{"text": "x", "labels": [{"theme": "weather"}]}', "no theme of the codebook"),
        ('{"text": "x", "labels": ["overcapacity"]}', "no theme of the codebook"),
        ('{"text": "x", "labels": [{"theme": "involution", "stance": "angry"}]}', "stance 'angry' is none of"),
        ('{"text": "x", "labels": [{"theme": "involution"}, {"theme": "involution"}]}', "stands twice"),
    ],
)
def test_a_broken_row_is_named_by_file_and_line(tmp_path, row, message):
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "fine", "labels": []}\n' + row + "\n", encoding="utf-8")
    with pytest.raises(AnnotationError, match=message) as caught:
        annotations.paragraphs(path)
    assert str(caught.value).startswith(f"{path}:2: ")


def test_an_unknown_set_lists_the_bundled_ones():
    with pytest.raises(AnnotationError, match=r"no annotated set 'none'; bundled: .*starter"):
        annotations.load("none")


def test_folds_keep_groups_together_and_use_every_row_once(land_paragraphs):
    pairs = annotations.folds(land_paragraphs, 5, seed=1)
    assert sorted(np.concatenate([held for _, held in pairs]).tolist()) == list(range(40))
    for training, held in pairs:
        sides = [{land_paragraphs[i].meta["doc"] for i in rows} for rows in (training, held)]
        assert not sides[0] & sides[1]
    again = annotations.folds(land_paragraphs, 5, seed=1)
    assert all((a == b).all() for x, y in zip(pairs, again, strict=True) for a, b in zip(x, y, strict=True))
    with pytest.raises(AnnotationError, match="10 groups of paragraphs cannot make 11 folds"):
        annotations.folds(land_paragraphs, 11, seed=1)


def test_the_fingerprint_sees_every_label():
    one = [Paragraph("1", "x", (Label("involution", "mixed", "author"),))]
    other = [Paragraph("1", "x", (Label("involution", "mixed", "attributed"),))]
    assert annotations.fingerprint(one) != annotations.fingerprint(other)
    assert annotations.fingerprint(one) == annotations.fingerprint(list(one))
