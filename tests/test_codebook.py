import pytest

from capthemes.codebook import Codebook
from capthemes.errors import CodebookError


def test_built_in_codebook():
    codebook = Codebook.load()
    assert codebook.version == 2
    assert len(codebook.names) == 16 == len(set(codebook.names))
    assert list(codebook.stances) == ["supportive", "critical", "mixed", "neutral"]
    assert list(codebook.voices) == ["author", "attributed"]
    assert [sum(rule.part == part for rule in codebook.rules) for part in ("themes", "stance", "voice")] == [35, 17, 4]
    overcapacity = codebook.theme("overcapacity")
    assert (overcapacity.chinese, overcapacity.target) == ("产能过剩", "cutting excess capacity")
    assert {rule.number for rule in codebook.rules_about("overcapacity") if rule.part == "themes"} >= {1, 9, 20}


def test_a_users_codebook_loads_the_same_way(land_codebook):
    codebook = Codebook.load(land_codebook)
    assert codebook.version == 3
    assert codebook.names == ("industrial_land", "farmland")
    assert list(codebook.stances) == ["supportive", "critical"]


def test_a_codebook_of_themes_only(land_codebook):
    text = land_codebook.read_text(encoding="utf-8")
    land_codebook.write_text(text[: text.index("## What")] + text[text.index("## The themes") :], encoding="utf-8")
    codebook = Codebook.load(land_codebook)
    assert codebook.stances == {} == codebook.voices


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (", version 3", "", 1, "must end in a version"),
        ("| 工业用地 | Land for plants", "| Land for plants", 17, "3 cells"),
        ("`industrial_land` |", "industrial land |", 17, "must be one `name`"),
        ("| 耕地 |", "|  |", 18, "nothing under 'chinese'"),
        ("`farmland` |", "`industrial_land` |", 18, "twice"),
        ("- `critical`: against", "- critical: against", 7, "cannot read"),
        ("- `critical`:", "- `supportive`:", 7, "listed twice"),
        ("- `critical`: against", "* `critical`: against", 7, "cannot read"),
        ("1. A plot", "2. A plot", 21, "number the rules"),
        ("|---|---|---|---|\n", "", 16, "under the header of the table"),
        ("| `farmland`", " | `farmland`", 18, "must begin with '|'"),
        ("| `farmland`", "\n| `farmland`", 19, "cut off from the table"),
        ("| theme | Chinese |", "| topic | Chinese |", 1, "no table of themes"),
    ],
)
def test_a_malformed_codebook_fails_with_file_and_line(land_codebook, old, new, line, message):
    text = land_codebook.read_text(encoding="utf-8")
    assert old in text
    land_codebook.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(CodebookError) as caught:
        Codebook.load(land_codebook)
    assert str(caught.value).startswith(f"{land_codebook}:{line}: ")
    assert message in str(caught.value)


def test_a_missing_codebook_and_one_that_is_not_text(tmp_path):
    with pytest.raises(CodebookError, match="no codebook file"):
        Codebook.load(tmp_path / "none.md")
    (tmp_path / "latin.md").write_bytes(b"# Codebook\xff")
    with pytest.raises(CodebookError, match="not UTF-8 at byte 10"):
        Codebook.load(tmp_path / "latin.md")


def test_an_unknown_theme_lists_the_known_ones():
    with pytest.raises(CodebookError, match=r"no theme 'weather'.*overcapacity, involution"):
        Codebook.load().theme("weather")
