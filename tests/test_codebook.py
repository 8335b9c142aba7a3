import re

import pytest

from capthemes.codebook import Codebook, Theme
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


def test_a_table_is_a_codebook(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(
        'theme,chinese,covers,target\nland,用地,"Plots, and their price",giving land\n', encoding="utf-8-sig"
    )
    book = Codebook.load(path)
    assert book.theme("land").covers == "Plots, and their price"
    assert list(book.stances) == list(Codebook.load().stances)
    (tmp_path / "again.md").write_text(book.text, encoding="utf-8")
    assert Codebook.load(tmp_path / "again.md") == book


def test_a_table_is_known_by_its_ending_in_capitals_too(tmp_path):
    (tmp_path / "MINE.CSV").write_text("theme,covers\nland,plots\n", encoding="utf-8")
    assert Codebook.load(tmp_path / "MINE.CSV").names == ("land",)


def test_a_table_without_targets_has_themes_only(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text("Theme\tWhat it covers\nidle_land\tIdle plots\n\n", encoding="utf-8")
    book = Codebook.load(path)
    assert book.stances == {} == book.voices
    assert book.theme("idle_land") == Theme("idle_land", "idle land", "Idle plots", "idle land")


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name,covers\nland,plots\n", 1, "no column 'theme'"),
        ("theme,covers\n", 1, "has no rows"),
        ("theme,covers\nland,plots\nland,more\n", 3, "stands in the table twice"),
        ("theme,covers\nidle land,plots\n", 2, "must be one `name`"),
        ("theme,covers\nland,\n", 2, "nothing under 'what it covers'"),
        ("theme,covers\nland,a | b\n", 2, "has a '|'"),
        ('theme,covers\nland,"plots\nwater,rivers\n', 3, "not csv (unexpected end of data)"),
        ("theme,covers\nland,plots, and prices\n", 2, "3 cells under 2 columns"),
        ("theme,covers,what it covers\nland,plots,more\n", 1, "two columns are 'what it covers'"),
    ],
)
def test_a_malformed_table_fails_with_file_and_line(tmp_path, text, line, message):
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CodebookError, match=re.escape(f"{path}:{line}: ")) as caught:
        Codebook.load(path)
    assert message in str(caught.value)


def test_themes_are_added_to_a_codebook_and_its_text_says_the_same(land_codebook, tmp_path):
    text = land_codebook.read_text(encoding="utf-8")
    more = text.replace("industrial_land", "plots").replace("farmland", "fields").replace("- `mixed`", "")
    (tmp_path / "more.md").write_text(more + "\n## Rules for voice\n1. Be brief.\n", encoding="utf-8")
    both = Codebook.load(land_codebook).extended(Codebook.load(tmp_path / "more.md"))
    assert both.names == ("industrial_land", "farmland", "plots", "fields")
    assert [(rule.part, rule.number) for rule in both.rules] == [("themes", 1), ("themes", 2), ("voice", 1)]
    (tmp_path / "both.md").write_text(both.text, encoding="utf-8")
    assert Codebook.load(tmp_path / "both.md") == both


def test_the_built_in_codebook_is_extended_with_its_prose(tmp_path):
    (tmp_path / "mine.csv").write_text("theme,covers,target\nland,Plots,giving land\n", encoding="utf-8")
    both = Codebook.load().extended(Codebook.load(tmp_path / "mine.csv"))
    (tmp_path / "both.md").write_text(both.text, encoding="utf-8")
    assert Codebook.load(tmp_path / "both.md") == both
    assert set(both.text.splitlines()) - set(Codebook.load().text.splitlines()) == {
        "| `land` | land | Plots | giving land |"
    }


def test_a_theme_is_added_to_an_aligned_table(tmp_path):
    head = ["# Codebook, version 1", "", "| theme  | Chinese | what it covers | stance target |", "|---|---|---|---|"]
    for name, row in (("rain", "| `rain` | 雨      | Rain | rain |"), ("snow", "| `snow` | 雪 | Snow | snow |")):
        (tmp_path / f"{name}.md").write_text("\n".join([*head, row, ""]), encoding="utf-8")
    both = Codebook.load(tmp_path / "rain.md").extended(Codebook.load(tmp_path / "snow.md"))
    (tmp_path / "both.md").write_text(both.text, encoding="utf-8")
    assert Codebook.load(tmp_path / "both.md").names == ("rain", "snow")


def test_what_cannot_be_added_is_refused(land_codebook, tmp_path):
    book = Codebook.load(land_codebook)
    with pytest.raises(CodebookError, match="'industrial_land' is in both"):
        book.extended(book)
    (tmp_path / "mine.csv").write_text("theme,covers,target\nland,Plots,giving land\n", encoding="utf-8")
    with pytest.raises(CodebookError, match="are not those that are extended"):
        book.extended(Codebook.load(tmp_path / "mine.csv"))


def test_some_themes_of_a_codebook(land_codebook):
    some = Codebook.load(land_codebook).only(["farmland"], voices=False)
    assert (some.names, list(some.stances), some.voices) == (("farmland",), ["supportive", "critical"], {})
