import json
from datetime import datetime
from decimal import Decimal

import pandas
import pyarrow.parquet
import pytest

import capthemes
from capthemes import batches, corpus, reading, writing
from capthemes.batches import SCHEMA
from capthemes.codebook import Codebook
from capthemes.corpus import Rows, Source
from capthemes.errors import InputError
from capthemes.labelling import label_corpus
from capthemes.planning import plan_corpus


def test_every_paragraph_comes_out_once_with_its_columns(articles, tmp_path, fast):
    summary = label_corpus([articles], tmp_path / "out.parquet")
    rows = pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["id"] for row in rows] == ["mills.txt#0", "mills.txt#1", "0", "1", "2", "集市.md#0", "集市.md#1"]
    assert [row["lang"] for row in rows] == ["en"] * 5 + ["zh"] * 2
    assert [row["year"] for row in rows] == [None, None, 2020, 2021, 2022, None, None]
    assert rows[2]["tags"] == ["a", "b"]
    assert {row["model"] for row in rows} == {fast.id}
    assert {row["schema"] for row in rows} == {SCHEMA}
    expected = fast.predict([row["text"] for row in rows])
    found = [[(x["theme"], x["stance"], x["voice"], x["probability"]) for x in row["labels"]] for row in rows]
    assert found == [[(x.theme, x.stance, x.voice, x.probability) for x in labels] for labels in expected]
    assert summary.paragraphs == 7
    assert summary.labelled == sum(1 for labels in expected if labels)
    assert {t: c.total() for t, c in summary.stances.items()} == expected.to_frame().theme.value_counts().to_dict()
    tops = sorted((labels[0].probability for labels in expected if labels), reverse=True)[:3]
    assert [label.probability for label, _ in summary.strongest] == tops


def test_the_three_formats_hold_the_same_labels(articles, tmp_path):
    for ending in ("parquet", "jsonl", "csv"):
        label_corpus([articles], tmp_path / f"out.{ending}")
    nested = pandas.read_parquet(tmp_path / "out.parquet")
    with (tmp_path / "out.jsonl").open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    assert [line["labels"] for line in lines] == [list(labels) for labels in nested.labels]
    long = pandas.read_csv(tmp_path / "out.csv", dtype={"id": str})
    assert set(long.id) == set(nested.id)
    assert len(long) == sum(max(len(labels), 1) for labels in nested.labels)
    assert long.theme.dropna().tolist() == [x["theme"] for labels in nested.labels for x in labels]
    assert long.probability.dropna().tolist() == pytest.approx(
        [x["probability"] for labels in nested.labels for x in labels], rel=1e-15
    )


def test_columns_that_bear_our_names_are_kept_under_another(tmp_path):
    given = {"labels": ["gold"], "model": "m", "input_model": "m0", "lang": "xx", "theme": "t", "document": "d"}
    (tmp_path / "in.jsonl").write_text(json.dumps({"id": "a", "text": "x", "position": 7, **given}) + "\n")
    label_corpus([tmp_path / "in.jsonl"], tmp_path / "auto.parquet")
    (row,) = pyarrow.parquet.read_table(tmp_path / "auto.parquet").to_pylist()
    assert (row["input_labels"], row["input_model"], row["input_input_model"]) == (["gold"], "m0", "m")
    assert (row["lang"], row["input_theme"], row["input_document"], row["input_position"]) == ("xx", "t", "d", 7)
    assert (row["document"], row["position"]) == ("a", 0)
    label_corpus([tmp_path / "in.jsonl"], tmp_path / "zh.parquet", lang="zh")
    (row,) = pyarrow.parquet.read_table(tmp_path / "zh.parquet").to_pylist()
    assert (row["lang"], row["input_lang"]) == ("zh", "xx")


def test_columns_of_several_types_become_strings_whole(tmp_path, monkeypatch):
    values = [1, "two", None, {"three": 3}, 10**30]
    text = "".join(json.dumps({"text": "x", "mixed": v, "sure": i}) + "\n" for i, v in enumerate(values))
    (tmp_path / "in.jsonl").write_text(text)
    for name, size in (("one", 1 << 20), ("many", 1)):
        monkeypatch.setattr(corpus, "SHARD_BYTES", size)
        label_corpus([tmp_path / "in.jsonl"], tmp_path / f"{name}.parquet")
        rows = pyarrow.parquet.read_table(tmp_path / f"{name}.parquet").to_pylist()
        assert [row["mixed"] for row in rows] == ["1", "two", None, '{"three": 3}', str(10**30)]
        assert [row["sure"] for row in rows] == [0, 1, 2, 3, 4]


def test_odd_texts_and_names_survive(tmp_path):
    texts = ["", "\x00", "😀", "שלום", "a\u202eb", "x" * 1_000_000, '=cmd|" /C calc"!A0', "\ud800"]
    (tmp_path / "欧盟 报告.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts), encoding="utf-8")
    for ending in ("parquet", "jsonl", "csv"):
        assert label_corpus([tmp_path / "欧盟 报告.jsonl"], tmp_path / f"o.{ending}").paragraphs == len(texts)
    found = pyarrow.parquet.read_table(tmp_path / "o.parquet")["text"].to_pylist()
    assert found == [*texts[:-1], "?"]


def test_nothing_is_left_behind_when_it_fails(tmp_path, articles):
    (articles / "rows.jsonl").write_text('{"text": "fine"}\n{"text": 5}\n')
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InputError, match=r"rows\.jsonl:2"):
        label_corpus([articles], tmp_path / "out.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_output_that_exists_is_replaced_only_on_demand(tmp_path, articles):
    output = tmp_path / "out.jsonl"
    output.write_text("precious")
    with pytest.raises(InputError, match=r"out\.jsonl exists; .*--overwrite"):
        label_corpus([articles], output)
    assert output.read_text() == "precious"
    label_corpus([articles], output, overwrite=True)
    assert len(output.read_text(encoding="utf-8").splitlines()) == 7


@pytest.mark.parametrize(
    ("output", "options", "message"),
    [
        ("out.xlsx", {}, "its ending must be one of"),
        ("none/out.csv", {}, "no folder .*none to write out.csv into"),
        ("out.csv", {"lang": "fr"}, "language 'fr' is none of auto, en, zh"),
        ("out.csv", {"source": Source(text="body")}, "no column 'body'"),
    ],
)
def test_options_that_cannot_be(tmp_path, articles, output, options, message):
    with pytest.raises(InputError, match=message):
        label_corpus([articles / "rows.jsonl"], tmp_path / output, **options)


def test_progress_is_told_within_and_after_each_shard(tmp_path, articles, monkeypatch):
    monkeypatch.setattr(batches, "BATCH", 2)
    told = []
    label_corpus([articles], tmp_path / "o.csv", progress=lambda done, s: told.append((round(done, 2), s.paragraphs)))
    assert told == [(0.33, 2), (0.56, 4), (0.67, 5), (1.0, 7)]


def test_an_output_is_never_an_input(tmp_path, articles):
    label_corpus([articles], articles / "labels.csv")
    with pytest.raises(InputError, match=r"labels\.csv is one of the inputs"):
        label_corpus([articles], articles / "labels.csv", overwrite=True)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"folder\.csv exists"):
        label_corpus([articles], tmp_path / "folder.csv", overwrite=True)
    label_corpus([articles / "rows.jsonl"], tmp_path / "run")
    for inputs in ([tmp_path / "run" / "part-00000.parquet"], [tmp_path / "run"]):
        with pytest.raises(InputError, match="run is one of the inputs"):
            label_corpus(inputs, tmp_path / "run", lang="en", overwrite=True)
    assert pyarrow.parquet.read_table(tmp_path / "run").num_rows == 3
    with pytest.raises(InputError, match=r"write label_corpus\(\['examples'\]"):
        label_corpus("examples", tmp_path / "o.csv")


def test_objects_without_fields_and_nested_cells(tmp_path):
    rows = [{"text": "a", "meta": {}, "tags": ["x", "产"]}, {"text": "b", "meta": {}, "tags": []}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for ending in ("parquet", "jsonl", "csv"):
        label_corpus([tmp_path / "in.jsonl"], tmp_path / f"o.{ending}")
    assert pandas.read_csv(tmp_path / "o.csv").tags.tolist() == ['["x", "产"]', "[]"]
    assert pandas.read_parquet(tmp_path / "o.parquet").meta.tolist() == ["{}", "{}"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([9007199254740993, 1.5], ["9007199254740993", "1.5"]),
        ([2**40, 1.5], [2**40, 1.5]),
        ([{"n": 2**53 + 1}, {"n": 0.5}], ['{"n": 9007199254740993}', '{"n": 0.5}']),
        ([[], ["x"]], [[], ["x"]]),
    ],
)
def test_shards_whose_types_have_no_room_for_each_other_become_strings(tmp_path, monkeypatch, values, expected):
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": "x", "m": value}) + "\n" for value in values))
    monkeypatch.setattr(corpus, "SHARD_BYTES", 1)
    for _ in range(2):
        label_corpus([tmp_path / "in.jsonl"], tmp_path / "run")
        assert pyarrow.parquet.read_table(tmp_path / "run")["m"].to_pylist() == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (pyarrow.array([Decimal("1.50")]), pyarrow.array([7]), ["1.50", "7"]),
        (pyarrow.array([-1], "int32"), pyarrow.array([2**63 + 1], "uint64"), ["-1", str(2**63 + 1)]),
        (
            pyarrow.array([datetime(1500, 1, 1)], pyarrow.timestamp("s")),
            pyarrow.array([datetime(2020, 1, 1)], pyarrow.timestamp("ns")),
            ["1500-01-01 00:00:00.000", "2020-01-01 00:00:00.000000000"],
        ),
        (pyarrow.array([1], "int8"), pyarrow.array([300], "int32"), [1, 300]),
    ],
)
def test_parquet_files_whose_types_have_no_room_for_each_other(tmp_path, first, second, expected):
    for name, column in (("a", first), ("b", second)):
        pyarrow.parquet.write_table(pyarrow.table({"text": ["x"], "m": column}), tmp_path / f"{name}.parquet")
    label_corpus([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "run")
    assert pyarrow.parquet.read_table(tmp_path / "run")["m"].to_pylist() == expected


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_days_beyond_the_last_year_of_python_are_written(tmp_path, form):
    days = pyarrow.array([9_999_999, 1], pyarrow.date32())
    pyarrow.parquet.write_table(pyarrow.table({"text": ["x", "y"], "day": days}), tmp_path / "in.parquet")
    label_corpus([tmp_path / "in.parquet"], tmp_path / f"out.{form}")
    written = (tmp_path / f"out.{form}").read_text()
    assert "29349-01-25" in written and "1970-01-02" in written


def test_columns_that_differ_by_a_lone_surrogate_alone_are_refused(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "x", "a\\ud800": 1, "a\\ud801": 2}\n')
    with pytest.raises(InputError, match="two columns are 'a\\?'"):
        label_corpus([tmp_path / "in.jsonl"], tmp_path / "out.jsonl")


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [48, 49, 900])
def test_columns_nested_deeper_than_parquet_are_json(tmp_path, depth, opening, closing):
    nested = f"{opening * depth}1{closing * depth}"
    (tmp_path / "in.jsonl").write_text(f'{{"text": "x", "m": {nested}}}\n')
    label_corpus([tmp_path / "in.jsonl"], tmp_path / "o.parquet")
    (found,) = pyarrow.parquet.read_table(tmp_path / "o.parquet")["m"].to_pylist()
    assert (found.replace(" ", "") if depth > 48 else json.dumps(found).replace(" ", "")) == nested


def test_a_model_that_was_saved_anew_is_read_anew(tmp_path, land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    for round in (1, 2):
        some = land_paragraphs[: 20 * round]
        trained = capthemes.train({"land": some}, name="m", family="keywords", codebook=book)
        trained.save(tmp_path / "m")
        label_corpus(Rows(["A plot for a plant."]), tmp_path / f"{round}.parquet", model=tmp_path / "m")
        (found,) = pyarrow.parquet.read_table(tmp_path / f"{round}.parquet")["model"].to_pylist()
        assert found == trained.id


def test_a_lang_that_is_no_string_is_kept_beside_ours(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "a word", "lang": ["zh"]}\n{"text": "a word"}\n')
    label_corpus([tmp_path / "in.jsonl"], tmp_path / "o.parquet")
    rows = pyarrow.parquet.read_table(tmp_path / "o.parquet").to_pylist()
    assert [(row["lang"], row["input_lang"]) for row in rows] == [("en", ["zh"]), ("en", None)]
    (tmp_path / "in.jsonl").write_text('{"text": "a word", "lang": 3}\n')
    label_corpus([tmp_path / "in.jsonl"], tmp_path / "o.parquet", overwrite=True)
    (row,) = pyarrow.parquet.read_table(tmp_path / "o.parquet").to_pylist()
    assert row["lang"] == "3"


def test_the_folder_that_one_is_in_can_be_the_output(tmp_path, articles, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert label_corpus([articles], ".").paragraphs == 7
    assert len(list((tmp_path / "here").glob("part-*.parquet"))) == 3


def strictly(line):
    """A line of JSON as strict readers take it."""
    return json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_numbers_and_bytes_that_json_lacks(tmp_path):
    odd = {
        "n": [float("nan"), 1.5],
        "raw": [b"\xff\x00", None],
        "deep": [{"n": [float("inf")], "raw": b"\xff"}, {"n": [], "raw": None}],
    }
    pyarrow.parquet.write_table(pyarrow.table({"text": ["x", "y"]} | odd), tmp_path / "in.parquet")
    for ending in ("jsonl", "csv"):
        label_corpus([tmp_path / "in.parquet"], tmp_path / f"o.{ending}")
    first, second = map(strictly, (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines())
    assert (first["n"], first["raw"], first["deep"]) == (None, "/wA=", {"n": [None], "raw": "/w=="})
    assert (second["n"], second["raw"]) == (1.5, None)
    polars = pytest.importorskip("polars")
    assert polars.read_ndjson(tmp_path / "o.jsonl")["n"].to_list() == [None, 1.5]
    cells = pandas.read_csv(tmp_path / "o.csv")
    assert (cells.raw[0], strictly(cells.deep[0])) == ("/wA=", {"n": [None], "raw": "/w=="})


def test_a_plan_counts_each_format_by_itself(tmp_path, fast, monkeypatch):
    monkeypatch.setattr(corpus, "SHARD_BYTES", 2000)
    for name, count in (("a", 500), ("c", 5)):
        table = pyarrow.table({"text": [f"Case {i:04d}." for i in range(count)]})
        pyarrow.parquet.write_table(table, tmp_path / f"{name}.parquet", row_group_size=100)
    (tmp_path / "b.jsonl").write_text("".join(f'{{"text": "Case {i:04d}."}}\n' for i in range(500)))
    plan = plan_corpus([tmp_path], fast)
    assert plan.shards > 8
    assert 990 <= plan.paragraphs <= 1020


def test_a_plan_samples_the_longest_table(tmp_path, fast, monkeypatch):
    monkeypatch.setattr(reading, "ROWS", 50)
    pyarrow.parquet.write_table(pyarrow.table({"text": ["x"] * 51}), tmp_path / "a.parquet")
    assert plan_corpus([tmp_path / "a.parquet"], fast).sampled == 50


@pytest.mark.parametrize("ending", ["parquet", "jsonl", "csv"])
def test_the_columns_that_are_told_are_those_that_are_written(articles, tmp_path, fast, ending):
    label_corpus([articles], tmp_path / f"o.{ending}")
    read = {"parquet": pandas.read_parquet, "csv": pandas.read_csv, "jsonl": lambda p: pandas.read_json(p, lines=True)}
    told = writing.written(plan_corpus([articles], fast).columns, ending)
    assert sorted(told) == sorted(read[ending](tmp_path / f"o.{ending}").columns)
