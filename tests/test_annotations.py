import json
import re
import subprocess
import sys

import datasets
import numpy as np
import pytest

from capthemes import annotations
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, InputError
from capthemes.records import Label, Paragraph
from capthemes.store import fingerprint_bytes, home


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


def test_every_column_of_every_row_is_loaded(tmp_path):
    rows = {"train": [{"text": "a", "labels": []}, {"text": "b", "labels": [], "doc": "d"}]}
    rows["dev"] = [{"text": "c", "labels": [], "year": 2024}]
    for split, part in rows.items():
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    loaded = annotations.load(str(tmp_path))
    assert loaded["train"]["doc"][:] == [None, "d"]
    assert loaded["train"]["year"][:] == [None, None]
    assert (loaded["dev"]["doc"][:], loaded["dev"]["year"][:]) == ([None], [2024])


def test_a_set_of_one_file_is_one_split(tmp_path):
    loaded = annotations.load("rules")
    assert {split: part.num_rows for split, part in loaded.items()} == {"test": 334}
    assert annotations.paragraphs("rules", "test") == annotations.paragraphs("rules")
    with pytest.raises(AnnotationError, match="no split 'train' in rules; there is: test"):
        annotations.paragraphs("rules", "train")
    for name, split in (("mine", "train"), ("dev", "dev")):
        file = tmp_path / f"{name}.jsonl"
        file.write_text('{"text": "a", "labels": []}\n', encoding="utf-8")
        assert list(annotations.load(str(file))) == [split]
        with pytest.raises(AnnotationError, match=f"no split 'test' in .*; there is: {split}"):
            annotations.paragraphs(file, "test")


@pytest.mark.parametrize("name", annotations.names())
def test_bundled_sets_hold_together(name):
    splits = annotations.load(name)
    rows = [(split, row) for split, part in splits.items() for row in part]
    assert len({row["id"] for _, row in rows}) == len(rows)
    for unit in ("doc", "group", "writer"):
        sides: dict[str, set[str]] = {}
        for split, row in rows:
            if row.get(unit):
                sides.setdefault(row[unit], set()).add(split)
        assert {key: where for key, where in sides.items() if len(where) > 1} == {}
    for _, row in rows:
        assert ("sha256" in row) != ("text" in row)
        assert all(label["stance"] and label["voice"] for label in row["labels"])


def test_references_are_hydrated_by_hash_from_a_file(tmp_path):
    texts = {"a": "产能过剩。", "b": "A tariff was announced.", "c": "never brought"}
    folder = tmp_path / "refs"
    folder.mkdir()
    rows = [
        {"id": k, "sha256": fingerprint_bytes(t.encode()), "source": f"o/r@abcdef0:{k}.md", "labels": []}
        for k, t in texts.items()
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    brought = tmp_path / "texts.jsonl"
    brought.write_text(json.dumps({"text": texts["b"]}) + "\n" + json.dumps({"text": texts["a"] + " "}) + "\n")
    found = annotations.hydrate(brought, str(folder))
    assert [(p.id, p.text) for p in found.paragraphs] == [("b", texts["b"])]
    assert found.missing == {"o/r": 2}
    assert "1 of 3 texts found" in str(found)
    with pytest.raises(AnnotationError, match=r"by reference .*hydrate"):
        annotations.paragraphs(folder)
    assert annotations.is_by_reference(folder)
    assert not annotations.is_by_reference("starter")
    for bad, message in (
        ("none", "cannot be read"),
        ("refs/train.jsonl", "train.jsonl:1: not a JSON object with a 'text'"),
    ):
        with pytest.raises(InputError, match=message):
            annotations.hydrate(tmp_path / bad, str(folder))


def test_references_are_hydrated_from_git_checkouts(tmp_path):
    def git(*arguments):
        command = ["git", "-C", str(tmp_path / "repo"), "-c", "user.name=n", "-c", "user.email=e@e", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    wanted = [
        "One paragraph with a link to it.",
        "第二段，关于产能。",
        'A cell with "quotes".',
        "An element & more.",
    ]
    (tmp_path / "repo").mkdir()
    git("init", "-q")
    files = {
        "a.md": "# T\n\nOne paragraph\nwith a [link](http://x) to it.\n\nOther.\n",
        "b.csv": f'id,text\n1,"{wanted[1]}"\n2,"A cell with ""quotes""."\n',
        "c.html": "<div><p>An element &amp; more.</p><p>x</p></div>",
    }
    for name, text in files.items():
        (tmp_path / "repo" / name).write_text(text, encoding="utf-8")
    git("add", ".")
    git("commit", "-qm", "m")
    commit = git("rev-parse", "HEAD")
    (tmp_path / "repo" / "a.md").write_text("changed since")
    where = ["a.md", "b.csv#row1", "b.csv#row2", "c.html"]
    rows = [
        {"id": str(i), "sha256": fingerprint_bytes(t.encode()), "source": f"o/r@{commit}:{path}", "labels": []}
        for i, (t, path) in enumerate(zip(wanted, where, strict=True))
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = annotations.hydrate({"o/r": tmp_path / "repo"}, str(tmp_path))
    assert [p.text for p in found.paragraphs] == wanted
    assert annotations.hydrate({"x/y": tmp_path / "repo"}, str(tmp_path)).missing == {"o/r": 4}
    with pytest.raises(InputError, match="no git repository"):
        annotations.hydrate({"o/r": tmp_path.parent}, str(tmp_path))
    with pytest.raises(InputError, match="looked for as owner/name"):
        annotations.hydrate(tmp_path / "repo" / ".git" / "info", str(tmp_path))
    (tmp_path / "checkouts" / "o").mkdir(parents=True)
    (tmp_path / "repo").rename(tmp_path / "checkouts" / "o" / "r")
    (tmp_path / "one.jsonl").write_text(json.dumps({"text": wanted[0]}) + "\n")
    from_folder = annotations.hydrate([tmp_path / "one.jsonl", tmp_path / "checkouts"], str(tmp_path))
    assert [p.text for p in from_folder.paragraphs] == wanted


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
        ('["text"]', "must be a JSON object"),
        ('{"text": "x"}', "needs a string 'text' .* and a list 'labels'"),
        ('{"text": null, "labels": []}', "needs a string 'text' .* and a list 'labels'"),
        ('{"text": "x", "labels": [{"theme": "weather"}]}', r"no theme of the codebook, which .* \(--codebook\)"),
        ('{"text": "x", "labels": ["overcapacity"]}', "is no object; write"),
        ('{"text": "x", "labels": [{"theme": "involution", "stance": "angry"}]}', "stance 'angry' is none of"),
        ('{"text": "x", "labels": [{"theme": "involution", "stance": ["a"]}]}', r"stance \['a'\] is none of"),
        ('{"text": "x", "labels": [{"theme": ["involution"]}]}', "no theme of the codebook"),
        (
            '{"text": "x", "labels": [{"theme": "involution", "evidence": [{"start": 1e999, "end": 2}]}]}',
            "evidence is a",
        ),
        ('{"text": "x", "labels": [{"theme": "involution", "evidence": [{"start": 9, "end": 2}]}]}', "from 9 to 2"),
        ('{"text": "x", "labels": [{"theme": "involution", "evidence": [{"start": -1, "end": 2}]}]}', "from -1 to 2"),
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


@pytest.mark.parametrize("name", ["written", "references"])
def test_gold_is_what_the_annotators_and_the_adjudicator_said(name):
    """Where the two blind annotators agree, theirs is gold; elsewhere it is the last decision, a reread after all."""
    by_route = annotations.annotators(name)
    decided = by_route["adjudicator"] | by_route.get("reread", {})
    gold = {row["id"]: row["labels"] for part in annotations.load(name).values() for row in part}
    assert set(gold) == set(by_route["whole"]) == set(by_route["list"])
    for id, labels in gold.items():
        found = {(x["theme"], x["stance"], x["voice"]) for x in labels}
        said = [{(x.theme, x.stance, x.voice) for x in by_route[route][id]} for route in ("whole", "list")]
        if id in decided:
            assert found == {(x.theme, x.stance, x.voice) for x in decided[id]}
        else:
            assert found == said[0] == said[1]


def test_the_hub_can_read_every_config_of_the_data_sheet_as_it_stands(tmp_path):
    folder = home("annotations")
    configs = re.findall(r"(?m)^- config_name: (\w+)$", (folder / "README.md").read_text(encoding="utf-8"))
    assert {"written", "references", "rules", "starter"} <= set(configs)
    for config in configs:
        splits = datasets.load_dataset(str(folder), config, cache_dir=str(tmp_path))
        columns = {"chinese", "english"} if config == "glossary" else {"id", "labels"}
        assert all(part.num_rows > 0 and columns <= set(part.column_names) for part in splits.values())
    assert (
        annotations.load("written")["test"].to_list()
        == datasets.load_dataset(str(folder), cache_dir=str(tmp_path))["test"].to_list()
    )


def test_the_glossary_has_the_debates_words_once_each():
    words = annotations.glossary()
    rows = (home("annotations") / "glossary.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(words) == len(rows) > 10_000
    assert {"产能", "过剩", "内卷"} <= set(words)
    assert all(word and gloss == gloss.strip().lower() and gloss for word, gloss in words.items())


def test_every_rule_of_the_codebook_has_minimal_pairs_whose_sides_differ():
    codebook = Codebook.load()
    pairs: dict[str, list[Paragraph]] = {}
    for paragraph in annotations.paragraphs("rules"):
        pairs.setdefault(paragraph.meta["pair"], []).append(paragraph)
    per_rule: dict[str, int] = {}
    for sides in pairs.values():
        assert len(sides) == 2
        assert sides[0].meta["rule"] == sides[1].meta["rule"]
        assert set(sides[0].labels) != set(sides[1].labels)
        per_rule[sides[0].meta["rule"]] = per_rule.get(sides[0].meta["rule"], 0) + 1
    parts = {"themes": "theme", "stance": "stance", "voice": "voice"}
    assert set(per_rule) == {f"{parts[rule.part]} {rule.number}" for rule in codebook.rules}
    assert all(2 <= count <= 4 for count in per_rule.values())
