"""Records go to every format and come back equal; each format is what its tool reads and writes."""

import csv
import io
import json
import math
import re
import tempfile
import uuid
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capthemes import formats, rounds
from capthemes.cells import plain, protected
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, InputError
from capthemes.formats import doccano, labelstudio
from capthemes.records import Label, Span
from capthemes.rounds import Record

CODEBOOK = Codebook.load()
FORMATS = list(formats.FORMATS)
NASTY = [
    "",
    "=1+1",
    "+1",
    "-1",
    "@cmd",
    "\tx",
    "\rx",
    "'=1",
    "''-",
    "'",
    "a\r\nb\n\n",
    "产能过剩，内卷。",
    "𠮷😀",
    "no theme",
    "null",
    '"1"',
    "1",
]
TEXTS = st.text(min_size=1, max_size=30) | st.sampled_from(NASTY).filter(bool)
NAMES = st.sampled_from(["ann", "李雷", "=bob", "-", "b@example.org", "8F1F1D52-2C43-5A5F-9A3C-0D0F4F6D7A51"])
META = st.dictionaries(
    st.sampled_from(["lang", "year", "theme", "meta.x", "=col", "notes"]),
    st.sampled_from(NASTY)
    | st.integers()
    | st.none()
    | st.lists(st.text(max_size=5), max_size=2)
    | st.floats(allow_nan=False),
    max_size=3,
)


@st.composite
def labels(draw, text: str, suggested: bool) -> tuple[Label, ...]:
    found = []
    for theme in draw(st.lists(st.sampled_from(CODEBOOK.names), unique=True, max_size=4)):
        stance = draw(st.sampled_from([*CODEBOOK.stances]))
        voice = draw(st.sampled_from([*CODEBOOK.voices]))
        stance, voice = draw(st.sampled_from([(stance, voice), (None, None), (None, voice), (stance, None)]))
        starts = draw(st.lists(st.integers(0, len(text) - 1), max_size=2))
        spans = [(start, draw(st.integers(start + 1, len(text)))) for start in starts]
        weights = st.floats(-9, 9) if suggested else st.just(1.0)
        evidence = tuple(Span(*span, draw(weights)) for span in spans)
        probability = draw(st.floats(0, 1)) if suggested else None
        found.append(Label(theme, stance, voice, probability, evidence))
    return tuple(found)


@st.composite
def records(draw) -> list[Record]:
    found = []
    for id in draw(st.lists(TEXTS, unique=True, min_size=1, max_size=3)):
        text = draw(TEXTS)
        names = draw(st.lists(NAMES, unique=True, max_size=2))
        suggested = draw(st.none() | labels(text, True))
        given = {name: draw(labels(text, False)) for name in names}
        found.append(
            Record(
                id,
                text,
                given,
                suggested,
                None if suggested is None else "fast@0123456789ab",
                draw(META),
                draw(readings(given)),
            )
        )
    return found


@st.composite
def readings(draw, given: dict[str, tuple[Label, ...]]) -> dict[str, list[str]]:
    """For which themes each of two annotators has read, where these differ; none where the same."""
    if len(given) < 2 or draw(st.booleans()):
        return {}
    first, second = ([x.theme for x in labels] for labels in given.values())
    read = [[*first, "overcapacity"], draw(st.sampled_from([None, [*second, "involution", "soe_reform"]]))]
    return {name: themes for name, themes in zip(given, read, strict=True) if themes and read[0] != read[1]}


def through(form: str, given: list[Record], codebook: Codebook = CODEBOOK) -> list[Record]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        if form == "jsonl":
            rounds.write(given, path)
            return rounds.read([path], codebook)
        formats.write(given, path, form, codebook)
        return formats.read([path], form, codebook)


@pytest.mark.parametrize("form", ["jsonl", *FORMATS])
@settings(max_examples=60, deadline=None)
@given(records())
def test_a_record_comes_back_equal(form, given):
    assert through(form, given) == (given if form == "csv" else [as_in_json(record) for record in given])


def as_in_json(record: Record) -> Record:
    """JSON has no infinity: null stands in its place."""
    meta = {key: None if value in (math.inf, -math.inf) else value for key, value in record.meta.items()}
    return replace(record, meta=meta)


@pytest.mark.parametrize("form", ["jsonl", "labelstudio", "doccano", "argilla"])
def test_what_is_no_number_is_null_for_readers_that_know_json_alone(form, tmp_path):
    given = [Record("1", "x", {"a": ()}, meta={"debt": math.nan, "rows": [math.inf, 1.5], "at": Path("p")})]
    path = tmp_path / "file"
    if form == "jsonl":
        rounds.write(given, path)
    else:
        formats.write(given, path, form, CODEBOOK)
    content = path.read_text(encoding="utf-8")
    assert not re.search("NaN|Infinity", content)
    found = rounds.read([path], CODEBOOK) if form == "jsonl" else formats.read([path], form, CODEBOOK)
    assert found[0].meta == {"debt": None, "rows": [None, 1.5], "at": "p"}


@pytest.mark.parametrize("form", ["jsonl", *FORMATS])
def test_a_lone_surrogate_is_a_question_mark(form, tmp_path):
    row = {"id": "\ud800", "text": "x\udfff", "labels": [], "annotator": "a\ud800", "page": ["\ud800"]}
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    given = rounds.read([tmp_path / "x.jsonl"], CODEBOOK)
    assert given == [Record("?", "x?", {"a?": ()}, meta={"page": ["?"]})]
    assert through(form, given) == given


def test_a_lone_surrogate_that_a_tool_exports_is_a_question_mark(tmp_path):
    task = {"id": 1, "data": {"text": "x\ud800"}}
    (tmp_path / "ls").write_text(json.dumps([task]))
    (tmp_path / "doc").write_text(json.dumps({"id": 1, "text": "x\ud800", "cats": []}))
    record = {"record": json.dumps({"id": "\ud800", "meta": {}})}
    (tmp_path / "ar").write_text(json.dumps([{"fields": {"text": "x\ud800"}, "metadata": record}]))
    (tmp_path / "table").write_text('id,text,theme,page\n1,x?,,"""\\ud800"""\n')
    forms = {"ls": "labelstudio", "doc": "doccano", "ar": "argilla", "table": "csv"}
    read = {name: formats.read([tmp_path / name], form, CODEBOOK)[0] for name, form in forms.items()}
    assert {record.text for record in read.values()} == {"x?"}
    assert (read["ar"].id, read["table"].meta) == ("?", {"page": "?"})


@pytest.mark.parametrize("form", ["jsonl", *FORMATS])
def test_every_theme_stance_and_voice_comes_back(form):
    full = [
        Label(theme, stance, voice, None, (Span(1, 3, 1.0),))
        for theme in CODEBOOK.names
        for stance in CODEBOOK.stances
        for voice in CODEBOOK.voices
    ]
    given = [Record(str(n), "产能\n过剩", {"a": (label,), "b": ()}) for n, label in enumerate(full)]
    assert len(given) == 128
    assert through(form, given) == given


@pytest.mark.parametrize("form", ["jsonl", *FORMATS])
def test_unread_is_not_read_and_empty(form):
    given = [Record("1", "x"), Record("2", "x", {"a": ()}), Record("3", "x", {}, (), "m")]
    found = through(form, given)
    assert [dict(record.annotators) for record in found] == [{}, {"a": ()}, {}]
    assert [record.suggested for record in found] == [None, None, ()]


@pytest.mark.parametrize("form", ["jsonl", *FORMATS])
def test_a_codebook_of_themes_alone(form, one_theme):
    codebook = Codebook.load(one_theme[0])
    given = [Record("1", "x", {"a": (Label("farmland"),), "b": ()})]
    assert through(form, given, codebook) == given


def test_files_of_several_annotators_are_one_round(tmp_path):
    for name in ("ann", "bob"):
        (tmp_path / f"{name}.jsonl").write_text(
            '{"id": 7, "text": "x", "cats": ["involution"], "Comments": [], "page": 3}\n'
        )
    (record,) = formats.read([tmp_path / "ann.jsonl", tmp_path / "bob.jsonl"], "doccano", CODEBOOK)
    assert (record.id, record.meta) == ("7", {"page": 3})
    assert record.annotators == {"ann": (Label("involution"),), "bob": (Label("involution"),)}
    with pytest.raises(AnnotationError, match="'ann' labels it twice"):
        formats.read([tmp_path / "ann.jsonl"] * 2, "doccano", CODEBOOK)
    with pytest.raises(InputError, match="no format 'brat'; there is: labelstudio, doccano, argilla, csv"):
        formats.read([], "brat", CODEBOOK)


@given(st.text() | st.sampled_from(NASTY))
def test_a_protected_cell_is_no_formula_and_comes_back(value):
    assert not protected(value).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert plain(protected(value)) == value


def test_numbers_in_csv_are_not_protected(tmp_path):
    suggested = (Label("involution", probability=5e-324, evidence=(Span(0, 1, -0.1),)),)
    formats.write([Record("-1", "=x", {}, suggested, "m", {"debt": -1.5})], tmp_path / "x.csv", "csv", CODEBOOK)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text(encoding="utf-8-sig"))))
    assert rows[0] | {"stance": "", "voice": ""} == {
        "id": "'-1",
        "text": "'=x",
        "annotator": "",
        "model": "m",
        "theme": "involution",
        "stance": "",
        "voice": "",
        "probability": "5e-324",
        "evidence": "0-1:-0.1",
        "debt": "-1.5",
    }


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [
        ("csv", "id,text\n1,x\n", "file:1: no column 'theme'"),
        ("csv", "id,text,theme\n1,x\n", "file:2: 2 cells under 3 columns"),
        ("csv", "id,text,theme\n1,x,weather\n", "file:2: label .* has no theme of the codebook"),
        ("csv", "id,text,theme,evidence\n1,x,involution,here\n", "file:2: evidence 'here' must be"),
        ("csv", "id,text,theme,evidence\n1,x,involution,a-b\n", "file:2: .* evidence is a list"),
        ("csv", "id,text,annotator,theme\n1,x,,involution\n", "file:2: a label without annotator or model"),
        ("csv", "id,text,theme\n1,A,involution\n1,B,overcapacity\n", "file:3: paragraph '1' has two texts"),
        ("csv", "id,text,theme,evidence\n1,x,involution,9-2\n", "file:2: evidence from 9 to 2 is no span"),
        ("labelstudio", "{}", "file: not a list"),
        ("labelstudio", "[1]", r"file\[0\]: 1 is no object"),
        ("labelstudio", '[{"data": {}}]', r"file\[0\]: no text in the task's data"),
        ("labelstudio", '[{"data": {"text": "x"}, "annotations": [{"result": []}]}]', "without completed_by"),
        ("doccano", '{"text": "x"}', "file:1: a row needs 'text' and 'cats'"),
        ("doccano", '{"id": 1, "text": "x", "cats": ["involution/bad"]}', "file:1: 'involution/bad' is no label"),
        ("doccano", '{"id": 1, "text": "x", "cats": ["involution", "involution/-/author"]}', "a theme stands twice"),
        ("doccano", '{"id": 1, "text": "x", "cats": [], "entities": [[0, 1, "involution"]]}', "not among the labels"),
        ("labelstudio", '[{"data": {"text": "x"}, "annotations": [{"completed_by": 1}]}]', "as labelstudio exports"),
        ("argilla", '[{"id": 1}]', r"file\[0\]: no field 'text'"),
        ("argilla", '[{"id": null, "fields": {"text": "x"}}]', r"file\[0\]: no id"),
        ("argilla", json.dumps([{"fields": {"text": "x"}, "metadata": {"record": "[" * 100_000}}]), "argilla exports"),
        ("labelstudio", '[{"data": {"text": "x"}}]', r"file\[0\]: no id"),
        ("labelstudio", '[{"id": 1, "data": {"text": "x", "record": {"id": 1, "meta": {}, "suggested": 5}}}]',
         r"file\[0\]: 'suggested' is 5, not a list"),
        ("doccano", '{"text": "x", "cats": ["involution"], "entities": [[1e999, 2, "involution"]], "id": 1}',
         "evidence is a list"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_place(tmp_path, form, content, message):
    (tmp_path / "file").write_text(content, encoding="utf-8")
    with pytest.raises(AnnotationError, match=message):
        formats.read([tmp_path / "file"], form, CODEBOOK)


GIVEN = [
    Record(
        "p1",
        "𠮷 mills cut output\n产能过剩",
        {
            "a@x.org": (Label("overcapacity", "critical", "author", None, (Span(2, 7, 1.0), Span(4, 9, 1.0))),),
            "b@x.org": (),
        },
        (
            Label("overcapacity", "supportive", "attributed", 0.75, (Span(2, 7, 0.5),)),
            Label("involution", None, None, 0.5),
        ),
        "fast@0123456789ab",
        {"lang": "en"},
    ),
    Record("p2", "x"),
]


def test_label_studio_takes_the_interface_and_the_tasks(tmp_path):
    interface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface(
        labelstudio.setup(CODEBOOK)["interface.xml"]
    )
    interface.validate()
    formats.write(GIVEN, tmp_path / "tasks.json", "labelstudio", CODEBOOK)
    for task in json.loads((tmp_path / "tasks.json").read_bytes()):
        assert interface.validate_task({"data": task["data"]})
        for annotation in task["annotations"]:
            assert interface.validate_annotation(annotation)
        for prediction in task.get("predictions", ()):
            assert interface.validate_prediction(prediction, return_errors=True) == []
    task = json.loads((tmp_path / "tasks.json").read_bytes())[0]
    task["annotations"][0]["result"][0]["value"]["choices"] = ["weather"]
    assert not interface.validate_annotation(task["annotations"][0])


def test_label_studio_offsets_in_utf16_units_are_understood(tmp_path):
    value = {"start": 3, "end": 8, "text": "mills", "labels": ["overcapacity"]}
    theme = {"from_name": "theme", "type": "choices", "value": {"choices": ["overcapacity"]}}
    results = [theme, {"from_name": "evidence", "type": "labels", "value": value}]
    task = {"id": 3, "data": {"text": "𠮷 mills", "page": 3}, "annotations": [{"completed_by": 5, "result": results}]}
    (tmp_path / "x.json").write_text(json.dumps([task]))
    (record,) = formats.read([tmp_path / "x.json"], "labelstudio", CODEBOOK)
    assert record == Record(
        "3", "𠮷 mills", {"5": (Label("overcapacity", evidence=(Span(2, 7, 1.0),)),)}, meta={"page": 3}
    )
    value["text"] = "plant"
    (tmp_path / "x.json").write_text(json.dumps([task]))
    with pytest.raises(AnnotationError, match="is not 'plant'"):
        formats.read([tmp_path / "x.json"], "labelstudio", CODEBOOK)


def test_a_skipped_task_of_label_studio_is_unread(tmp_path):
    task = {"id": 3, "data": {"text": "x"}, "annotations": [{"completed_by": 5, "was_cancelled": True, "result": []}]}
    (tmp_path / "x.json").write_text(json.dumps([task]))
    assert formats.read([tmp_path / "x.json"], "labelstudio", CODEBOOK)[0].annotators == {}


def test_argilla_takes_the_settings_and_gives_the_records_back(tmp_path, monkeypatch, one_theme):
    argilla = pytest.importorskip("argilla")
    from argilla.records._io import JsonIO

    monkeypatch.setattr(argilla.Argilla, "_get_default", mock.MagicMock)
    formats.write_setup(tmp_path, "argilla", CODEBOOK)
    asked = argilla.Settings.from_json(tmp_path / "settings.json")
    asked.validate()
    formats.write_setup(tmp_path / "one", "argilla", Codebook.load(one_theme[0]))
    assert argilla.Settings.from_json(tmp_path / "one" / "settings.json").questions["labels"].labels == [
        "farmland",
        "no theme",
    ]
    formats.write(GIVEN, tmp_path / "x.json", "argilla", CODEBOOK)
    read = JsonIO._records_from_json(tmp_path / "x.json")
    JsonIO.to_json(read, tmp_path / "y.json")
    assert formats.read([tmp_path / "y.json"], "argilla", CODEBOOK) == GIVEN
    options = {name: set(asked.questions[name].labels) for name in ("labels", "evidence")}
    for record in read:
        for suggestion in record.suggestions:
            assert re.fullmatch(r"[a-zA-Z0-9-_:./\s]+", suggestion.agent)  # what the server takes
        for response in record.responses:
            assert response.status == "submitted"
            assert uuid.UUID(response.user_id)
            given = {x["label"] if isinstance(x, dict) else x for x in response.value}
            assert given
            assert given <= options[response.question_name]


def as_doccano(rows: list[dict], user: str, folder: Path) -> Path:
    """What doccano's import and export make of rows: other columns are meta, labels come sorted, ids are numbers."""
    path = folder / f"{user}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows, 1):
            meta = {key: value for key, value in row.items() if key not in ("text", "cats", "entities")}
            spans = sorted(tuple(span) for span in row["entities"])
            out = {
                "id": number,
                "text": row["text"],
                **meta,
                "cats": sorted(row["cats"]),
                "entities": spans,
                "Comments": [],
            }
            file.write(json.dumps({**out, "entities": spans, "Comments": []}) + "\n")
    return path


def test_a_suggestion_that_doccano_gives_back_is_its_users_labels(tmp_path):
    unread = [Record(r.id, r.text, {}, r.suggested, r.model, r.meta) for r in GIVEN]
    formats.write(unread, tmp_path / "tasks.jsonl", "doccano", CODEBOOK)
    rows = [json.loads(line) for line in (tmp_path / "tasks.jsonl").read_text(encoding="utf-8").splitlines()]
    found = formats.read([as_doccano(rows, "ann", tmp_path)], "doccano", CODEBOOK)
    assert [record.id for record in found] == ["p1", "p2"]
    assert {label.theme for label in found[0].annotators["ann"]} == {"overcapacity", "involution"}
    assert found[0].suggested == GIVEN[0].suggested
    assert found[1].annotators == {"ann": ()}
    assert max(len(word["text"]) for word in json.loads(doccano.setup(CODEBOOK)["categories.json"])) <= 100


def test_cells_that_nest_without_end_are_strings_and_rows_without_an_id_have_their_number(tmp_path):
    (tmp_path / "x.csv").write_text(f"id,text,theme,page\n1,x,,{'[' * 100_000}\n1,,involution,\n")
    (record,) = formats.read([tmp_path / "x.csv"], "csv", CODEBOOK)
    assert record.meta == {"page": "[" * 100_000}
    assert record.annotators == {"x": (Label("involution"),)}
    (tmp_path / "x.jsonl").write_text('{"id": null, "text": "x", "cats": []}\n{"text": "y", "cats": []}\n')
    assert [r.id for r in formats.read([tmp_path / "x.jsonl"], "doccano", CODEBOOK)] == ["1", "2"]
    (tmp_path / "x.json").write_text('[{"id": 7, "data": {"id": null, "text": "x"}}]')
    assert formats.read([tmp_path / "x.json"], "labelstudio", CODEBOOK)[0].id == "7"
