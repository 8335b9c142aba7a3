import json
import re
from pathlib import Path

import pytest

import capthemes
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError
from capthemes.families import FAMILIES, family_class
from capthemes.records import Label, Paragraph
from capthemes.store import fingerprint_bytes
from capthemes.training import gather, measure, train

HELD = ["held_out.safetensors", "linear.safetensors", "model.json", "profile.safetensors"]
FILES = ["README.md", "codebook.md", "decision.json", *HELD]


def same_but_for_time(a, b) -> bool:
    """Whether two models' folders hold the same bytes, the seconds of their training apart, and the seal of all."""
    folders = [
        {
            path.name: re.sub(rb"\"(seconds|seal)\": [^\n]*|Trained in .*", b"", path.read_bytes())
            for path in folder.iterdir()
        }
        for folder in (a, b)
    ]
    return folders[0] == folders[1]


@pytest.fixture
def model(land_codebook, land_paragraphs):
    return train({"land": land_paragraphs}, name="land", family="linear", codebook=Codebook.load(land_codebook))


def test_a_trained_model_knows_how_it_scored_on_unseen_folds(model):
    (score,) = model.about["scores"]
    assert score["data"] == "land, 5-fold cross-validation"
    assert score["paragraphs"] == 40
    assert score["documents"] == 10
    assert score["micro_f1"]["value"] > 0.9
    assert f"model:land@{model.fingerprint[:12]}" in score["signature"]
    assert model.about["trained_on"][0]["paragraphs"] == 40


def test_unseen_scores_are_low_where_labels_are_noise(land_codebook):
    noise = [
        Paragraph(str(i), f"word{i} text{i * 7}", (Label("farmland", "supportive", "author"),) if i % 2 else ())
        for i in range(60)
    ]
    score = train({"n": noise}, name="n", family="linear", codebook=Codebook.load(land_codebook)).about["scores"][0]
    assert score["themes"]["farmland"]["average_precision"]["value"] < 0.75


def test_training_twice_gives_the_same_bytes(land_codebook, land_paragraphs, model, tmp_path):
    again = train({"land": land_paragraphs}, name="land", family="linear", codebook=Codebook.load(land_codebook))
    for name, trained in (("a", model), ("b", again)):
        trained.save(tmp_path / name)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == FILES
    assert same_but_for_time(tmp_path / "a", tmp_path / "b")


def test_training_on_a_real_set_twice_gives_the_same_bytes(tmp_path):
    paragraphs = capthemes.annotations.paragraphs("starter")
    for name in ("a", "b"):
        train({"starter": paragraphs}, name="starter", family="linear").save(tmp_path / name)
    assert same_but_for_time(tmp_path / "a", tmp_path / "b")


def test_measuring_scores_each_language_beside_the_keywords(model, land_paragraphs):
    measured = measure(model, land_paragraphs, "held-out")
    assert [(s["data"], s["model"]) for s in measured.about["scores"][1:]] == [
        (data, name) for data in ("held-out", "held-out, English", "held-out, Chinese") for name in ("land", "keywords")
    ]
    assert measured.fingerprint == model.fingerprint


def test_the_card_shows_scores_signatures_and_limits(model, land_paragraphs, tmp_path):
    measure(model, land_paragraphs, "held-out").save(tmp_path / "land")
    card = (tmp_path / "land" / "README.md").read_text(encoding="utf-8")
    assert "| held-out, Chinese | keywords | 10 |" in card
    assert "## By theme, held-out, Chinese" in card
    assert "| gold stance | critical | supportive |" in card
    assert f"data:held-out@{capthemes.annotations.fingerprint(land_paragraphs)[:12]}" in card
    assert "## Not for" in card
    assert re.search(r"It labelled held-out at about [1-9][\d,]* paragraphs a core-second", card)
    row = next(line for line in card.split("## By theme, held-out\n")[1].splitlines() if line.startswith("| farmland"))
    assert re.fullmatch(r"\| farmland \| 10 (\| \d\.\d\d \[\d\.\d\d, \d\.\d\d\] ){5}\|", row)


def test_the_card_links_the_mistakes_that_stand_beside_it(model, tmp_path):
    model.save(tmp_path / "land")
    card = tmp_path / "land" / "README.md"
    assert "mistakes.md" not in card.read_text(encoding="utf-8")
    (tmp_path / "land" / "mistakes.md").write_text("# Ten mistakes\n", encoding="utf-8")
    model.save(tmp_path / "land")
    assert "[mistakes.md](mistakes.md)" in card.read_text(encoding="utf-8")


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_trains_to_a_model_that_predicts(family, land_codebook, land_paragraphs, options, tmp_path):
    data, dev = {"land": land_paragraphs[:20]}, {"more land": land_paragraphs[20:]}
    book, named = Codebook.load(land_codebook), options.get(family, {})
    train(data, name="m", family=family, dev=dev, codebook=book, **named).save(tmp_path / "m")
    loaded = capthemes.load(tmp_path / "m", **family_class(family).as_its_maker)
    assert len(loaded.predict([p.text for p in land_paragraphs])) == 40


def test_unread_paragraphs_are_refused(land_codebook):
    with pytest.raises(AnnotationError, match="paragraph 'x' has not been labelled"):
        train({"n": [Paragraph("x", "text")]}, name="n", family="linear", codebook=Codebook.load(land_codebook))


def test_sets_by_reference_need_texts_and_what_is_left_out_is_said(tmp_path):
    codebook = Codebook.load()
    data, left_out = gather(["starter/train", "references/dev"], [], codebook)
    assert list(data) == ["starter/train"]
    assert left_out == ["references/dev is by reference and no --texts were given: left out"]
    (tmp_path / "texts.jsonl").write_text('{"text": "nothing that is wanted"}\n')
    with pytest.raises(AnnotationError, match="no paragraphs in references/dev"):
        gather(["references/dev"], [tmp_path / "texts.jsonl"], codebook)
    with pytest.raises(AnnotationError, match=r"no paragraphs in references/dev: .* there is no file absent\.jsonl"):
        gather(["references/dev"], [Path("absent.jsonl")], codebook)


def test_a_file_of_texts_that_is_not_there_leaves_out_what_needs_it(tmp_path):
    folder, texts = tmp_path / "refs", tmp_path / "texts.jsonl"
    folder.mkdir()
    rows = [{"id": t, "sha256": fingerprint_bytes(t.encode()), "source": "o/r@abcdef0:a", "labels": []} for t in "ab"]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    texts.write_text('{"text": "a"}\n', encoding="utf-8")
    sets, absent = ["starter/train", str(folder)], tmp_path / "absent.jsonl"
    data, left_out = gather(sets, [absent], Codebook.load())
    assert list(data) == ["starter/train"]
    assert left_out[0] == f"{folder} is by reference and there is no file {absent}"
    data, left_out = gather(sets, [absent, texts], Codebook.load())
    assert [p.text for p in data[str(folder)]] == ["a"]
    assert "1 of 2 texts found" in left_out[1]
