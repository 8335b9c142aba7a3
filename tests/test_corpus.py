import gzip
import json
import os
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from capthemes import corpus, writing
from capthemes.corpus import Rows, Source, split
from capthemes.errors import InputError, TextTypeError
from capthemes.files import lines
from capthemes.reading import tables


def read(*inputs, **options):
    return [paragraph for shard in split(inputs, Source(**options)) for paragraph in shard.read()]


def test_a_folder_is_read_in_order_with_documents_positions_and_other_columns(articles):
    found = read(articles)
    assert [p.id for p in found] == ["mills.txt#0", "mills.txt#1", "0", "1", "2", "集市.md#0", "集市.md#1"]
    assert found[0].meta == {"document": "mills.txt", "position": 0}
    assert found[4].meta == {"document": "2", "position": 0, "year": 2022, "tags": ["a", "b"]}
    assert found[5].text == "统一大市场"


def test_csv_tsv_and_parquet_rows(tmp_path):
    (tmp_path / "a.csv").write_text('body,year\n"one\nline, two",2020\nthree,2021\n', encoding="utf-8-sig")
    (tmp_path / "b.tsv").write_text("body\tyear\nfour\t2022\n", encoding="utf-8")
    pyarrow.parquet.write_table(pyarrow.table({"body": ["five", "六"], "year": [1, 2]}), tmp_path / "c.parquet")
    found = read(tmp_path, text="body")
    assert [p.text for p in found] == ["one\nline, two", "three", "four", "five", "六"]
    assert [p.meta["year"] for p in found] == ["2020", "2021", "2022", 1, 2]
    assert found[0].id == "a.csv:3"


def test_rows_are_cut_into_paragraphs_when_asked(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"id": "x", "text": "One.\n\nTwo.", "year": 1}) + "\n", encoding="utf-8")
    assert [p.text for p in read(path)] == ["One.\n\nTwo."]
    assert [(p.id, p.text, p.meta["year"]) for p in read(path, cut=True)] == [("x#0", "One.", 1), ("x#1", "Two.", 1)]


@pytest.mark.parametrize("size", [1, 7, 40, 1000])
def test_jsonl_shards_of_any_size_give_each_line_once(tmp_path, monkeypatch, size):
    path = tmp_path / "a.jsonl"
    texts = [f"{'产' * (i % 7)}{i}" for i in range(50)]
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    path.write_text("\n".join(lines[:20]) + "\n\n" + "\r\n".join(lines[20:]), encoding="utf-8")
    monkeypatch.setattr(corpus, "SHARD_BYTES", size)
    assert [p.text for p in read(path)] == texts


def test_parquet_shards_give_each_row_once_with_its_number(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": [str(i) for i in range(95)]}), path, row_group_size=10)
    monkeypatch.setattr(corpus, "SHARD_BYTES", 200)
    shards = split([path])
    assert len(shards) > 2
    assert [(p.text, p.id) for s in shards for p in s.read()] == [(str(i), f"a.parquet:{i + 1}") for i in range(95)]


def test_older_chinese_files_are_read_by_their_encoding(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("产能过剩".encode("gb18030"))
    with pytest.raises(InputError, match=r"a\.txt: not utf-8 at byte 0.*gb18030"):
        read(path)
    assert read(path, encoding="gb18030")[0].text == "产能过剩"
    with pytest.raises(InputError, match="no encoding 'klingon'"):
        read(path, encoding="klingon")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "x"}\n\n{"text": \n', r"a\.jsonl:3: not JSON"),
        ("a.jsonl", b'{"text": "x"}\n["x"]\n', r"a\.jsonl:2: a row must be a JSON object"),
        ("a.jsonl", b'{"text": "x"}\n{"text": null}\n', r"a\.jsonl:2: 'text' is None, not a string"),
        ("a.jsonl", b'{"body": "x"}\n', r"a\.jsonl:1: no column 'text'; it has: body; .*--text"),
        ("a.jsonl", b'{"text": "\xff"}\n', r"a\.jsonl: not utf-8 at byte 10"),
        ("a.jsonl", b"[" * 100_000, r"a\.jsonl:1: not JSON"),
        ("a.csv", b"body,year\nx,1\n", r"a\.csv:2: no column 'text'; it has: body, year"),
        ("a.csv", b"text,year\nx,1\ny\n", r"a\.csv:3: 1 cells under 2 columns"),
        ("a.csv", b'text,year\n"x,1\n', r"a\.csv:\d: not csv"),
        ("a.csv", b"text,text\nx,1\n", r"a\.csv:1: two columns have one name"),
        ("a.csv", b"text\nx\xff\n", r"a\.csv: not utf-8 at byte 6"),
        ("a.txt", b"", r"a\.txt is empty"),
        ("a.txt", b" \n", r"a\.txt is empty"),
        ("a.parquet", b"PAR2nothing", r"a\.parquet: not a parquet file"),
        ("a.pdf", b"%PDF", r"cannot tell the format of .*a\.pdf"),
    ],
)
def test_bad_input_names_the_place_and_the_repair(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)


def test_rows_with_a_key_of_its_own_each_are_refused_and_rare_keys_are_not(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "a", "k{i}": 1}}\n' for i in range(4000)))
    with pytest.raises(
        InputError, match=r"a\.jsonl: 4,000 rows from byte 0 on have 4,001 different keys together; put"
    ):
        read(path)
    told = []
    assert [len(table) for table in tables(split([path])[0], lambda path, reason: told.append(reason))] == [0]
    assert len(told) == 1
    path.write_text("".join(f'{{"text": "a", "k{i % 900}": 1}}\n' for i in range(4000)))
    assert len(read(path)) == 4000


def test_missing_paths_and_folders_without_files(tmp_path):
    with pytest.raises(InputError, match="no file or folder"):
        split([tmp_path / "none.txt"])
    (tmp_path / ".hidden.txt").write_text("x")
    with pytest.raises(InputError, match="no readable files in folder"):
        split([tmp_path])
    with pytest.raises(InputError, match="no input"):
        split([])


def test_a_parquet_without_the_column(tmp_path):
    pyarrow.parquet.write_table(pyarrow.table({"body": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="no column 'text'; it has: body"):
        read(tmp_path / "a.parquet")


def test_output_formats():
    assert writing.output_format(corpus.Path("a.JSONL")) == "jsonl"
    with pytest.raises(InputError, match=r"'a\.xlsx': its ending must be one of \.parquet, \.jsonl, \.csv"):
        writing.output_format(corpus.Path("a.xlsx"))


def test_csv_cells_hold_any_character_and_a_mark_at_the_beginning_goes(tmp_path):
    odd = "first\u2028second\x0cthird\x85fourth\r\nfifth"
    (tmp_path / "a.csv").write_text(f'\ufeff\n\ntext,n\n"{odd}",1\n', encoding="utf-8", newline="")
    (tmp_path / "b.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "marked"}\n')
    assert [p.text for p in read(tmp_path / "b.jsonl")] == ["marked"]
    assert [p.text for p in read(tmp_path / "a.csv")] == [odd]


def test_odd_sources_are_refused_with_the_place(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x"}\n')
    with pytest.raises(InputError, match="no encoding 'klingon'"):
        read(path, encoding="klingon")
    with pytest.raises(InputError, match="standard input is read once"):
        split(["-", "-"])
    table = pyarrow.table({"text": ["x" * 5000] * 500})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet", compression="none", use_dictionary=False)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[4:200] = b"\xff" * 196
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.parquet: a damaged parquet file"):
        read(tmp_path / "a.parquet")


def test_documents_of_two_folders_keep_apart(tmp_path, monkeypatch):
    for name in ("d1", "d2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text("One.")
    assert [p.id for p in read(tmp_path / "d1", tmp_path / "d2")] == ["d1/x.txt#0", "d2/x.txt#0"]
    monkeypatch.chdir(tmp_path)
    assert [p.id for p in read("d1")] == ["x.txt#0"]
    assert [p.id for p in read("d1/x.txt", "d2")] == ["d1/x.txt#0", "d2/x.txt#0"]


def packed(path, data: bytes) -> None:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(data[:99]) + gzip.compress(data[99:]))  # two members, as `cat` of two files
    else:
        with pyarrow.CompressedOutputStream(str(path), "zstd") as file:
            file.write(data)


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize("size", [1, 40, 1000])
def test_packed_jsonl_is_cut_as_if_unpacked_whichever_shards_are_read(tmp_path, monkeypatch, ending, size):
    path = tmp_path / f"a.jsonl{ending}"
    texts = [f"{'产' * (i % 7)}{i}" for i in range(50)]
    lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts).encode()
    packed(path, lines)
    monkeypatch.setattr(corpus, "SHARD_BYTES", size)
    shards = split([path])
    assert len(shards) == -(-len(lines) // size)
    assert [p.text for shard in shards for p in shard.read()] == texts
    some = shards[::3]
    (tmp_path / "a.jsonl").write_bytes(lines)
    plain = split([tmp_path / "a.jsonl"])[::3]
    assert [p.text for s in some for p in s.read()] == [p.text for s in plain for p in s.read()]
    assert [p.text for s in some[:2][::-1] for p in s.read()] == [p.text for s in plain[:2][::-1] for p in s.read()]


def test_a_packed_file_that_another_replaced_is_read_from_its_beginning(tmp_path):
    path, fresh = tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.gz"
    packed(path, b"old line 1\nold line 2\nold line 3\n")
    packed(fresh, b"new line 1\nnew line 2\nnew line 3\n")
    assert list(lines(path, 0, 11)) == [(0, b"old line 1\n")]
    fresh.replace(path)
    assert list(lines(path, 11, 22)) == [(11, b"new line 2\n")]


def test_a_damaged_packed_file_is_named(tmp_path):
    for ending in (".gz", ".zst"):
        path = tmp_path / f"a.jsonl{ending}"
        packed(path, b'{"text": "x"}\n' * 1000)
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(InputError, match=rf"a\.jsonl\{ending}: a damaged \{ending} file"):
            read(path)
    (tmp_path / "a.csv.gz").write_bytes(b"x")
    with pytest.raises(InputError, match="cannot tell the format"):
        read(tmp_path / "a.csv.gz")


@pytest.mark.parametrize("size", [1, 30, 200])
def test_csv_is_cut_where_rows_end(tmp_path, monkeypatch, size):
    cells = [("plain", "1"), ("two\nlines", "2"), ('a "quote", and\r\nmore', "3"), ("产能", "4"), ('5" pipe', "5")] * 9
    lines = ["text,n", *(f'"{text}",{n}'.replace('a "quote"', 'a ""quote""') for text, n in cells[:4] * 9)]
    lines += ['5" pipe,5']  # a quote within a cell that is not quoted
    (tmp_path / "a.csv").write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8", newline="")
    whole = read(tmp_path / "a.csv")
    monkeypatch.setattr(corpus, "SHARD_BYTES", size)
    shards = split([tmp_path / "a.csv"])
    assert len(shards) > 2
    assert [p for shard in shards for p in shard.read()] == whole
    assert [p.text for p in whole] == [text for text, _ in [*cells[:4] * 9, cells[4]]]


def test_parquet_columns_keep_their_types(tmp_path):
    table = pyarrow.table({"id": [7, None], "text": ["a", "b"], "day": [date(2026, 1, 2)] * 2, "n": [1, 2]})
    table = table.set_column(3, "n", table["n"].cast("int16"))
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    (found,) = [t for shard in split([tmp_path / "a.parquet"]) for t in shard.tables() if len(t)]
    assert found.schema.field("day").type == pyarrow.date32()
    assert found.schema.field("n").type == pyarrow.int16()
    assert found["id"].to_pylist() == ["7", "a.parquet:2"]


def test_datasets_saved_in_memory_and_streamed(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"text": [f"t{i}" for i in range(40)], "n": list(range(40))})
    data.save_to_disk(str(tmp_path / "saved"))
    monkeypatch.setattr(corpus, "SHARD_BYTES", 100)
    shards = split([tmp_path / "saved"])
    assert len(shards) > 3
    assert [(p.text, p.meta["n"]) for s in shards for p in s.read()] == [(f"t{i}", i) for i in range(40)]
    assert [s.files for s in split([tmp_path])] == [s.files for s in shards]
    for given in (data, data.to_iterable_dataset()):
        found = [p for s in split([given], spool=tmp_path / "spool") for p in s.read()]
        assert [(p.id, p.text, p.meta["n"]) for p in found] == [(f"rows-0:{i + 1}", f"t{i}", i) for i in range(40)]


def test_anything_that_can_be_iterated(tmp_path):
    found = [p for s in split([Rows(f"t{i}" for i in range(3))], spool=tmp_path) for p in s.read()]
    assert [p.text for p in found] == ["t0", "t1", "t2"]
    rows = Rows([{"body": "x", "tags": ["a"]}])
    (found,) = [p for s in split([rows], Source(text="body"), spool=tmp_path) for p in s.read()]
    assert (found.text, found.meta["tags"]) == ("x", ["a"])
    with pytest.raises(InputError, match=r"wrap what can be iterated in Rows"):
        split([5], spool=tmp_path)
    with pytest.raises(InputError, match=r"can be read once only; give split a folder"):
        split([rows])


def test_rejected_lines_are_named_by_their_numbers_in_the_whole_file(tmp_path, monkeypatch):
    (tmp_path / "a.jsonl").write_text("".join('{"text": "x"}\n' if i % 3 else "broken\n" for i in range(30)))
    monkeypatch.setattr(corpus, "SHARD_BYTES", 50)
    reasons: list[str] = []
    texts = [t for s in split([tmp_path]) for t in s.tables(lambda path, reason: reasons.append(reason))]
    assert sum(map(len, texts)) == 20
    numbers = [int(reason.removeprefix(f"{tmp_path}/a.jsonl:").split(":")[0]) for reason in reasons]
    assert numbers == list(range(1, 31, 3))


def kept(*inputs, spool=None, **options):
    """The texts that are read, and why the rest is not."""
    reasons: list[str] = []

    def take(path, reason):
        reasons.append(reason)

    tables = [t for s in split(inputs, Source(**options), spool=spool, reject=take) for t in s.tables(take)]
    return [text for table in tables for text in table["text"].to_pylist()], reasons


@pytest.mark.parametrize("size", [1, 30, 1 << 20])
def test_a_broken_row_of_csv_takes_no_other_with_it(tmp_path, monkeypatch, size):
    monkeypatch.setattr(corpus, "SHARD_BYTES", size)
    path = tmp_path / "a.csv"
    path.write_bytes(
        b'text,n\r\nok,1\n"bad"x,2\nfine,3\n"two\nlines \xff",4\n' + "产,5\n".encode() + b'z,6\n"open,7\n8,8\n9,9\n'
    )
    texts, reasons = kept(path)
    assert texts == ["ok", "fine", "产", "z"]
    assert [reason.removeprefix(f"{path}") for reason in reasons] == [
        ":3: not csv (',' expected after '\"'); mend the row",
        f": not utf-8 at byte {path.read_bytes().index(0xFF)}; name its encoding, as --encoding gb18030 "
        "for older Chinese files",
        *(f":{n}: not csv (unexpected end of data in the row of lines 9 to 11); mend the row" for n in (9, 10, 11)),
    ]
    with pytest.raises(InputError, match=r"a\.csv:3: not csv"):
        read(path)


def test_a_csv_whose_header_cannot_be_read_is_rejected_whole(tmp_path):
    for header in (b'"te"xt,n\n', b"text,\xff\n"):
        (tmp_path / "a.csv").write_bytes(header + b"x,1\n")
        (tmp_path / "b.csv").write_text("text\n")
        texts, reasons = kept(tmp_path)
        assert (texts, len(reasons)) == ([], 1)


def test_folders_of_texts_are_grouped_by_bytes_too(tmp_path, monkeypatch):
    for i, length in enumerate((10, 10, 10, 300, 10)):
        (tmp_path / f"{i}.txt").write_text("x" * length)
    monkeypatch.setattr(corpus, "SHARD_BYTES", 25)
    assert [[path.name for path in shard.files] for shard in split([tmp_path])] == [
        ["0.txt", "1.txt"],
        ["2.txt"],
        ["3.txt"],
        ["4.txt"],
    ]


def test_a_file_that_is_named_twice_is_read_once(tmp_path, articles):
    (tmp_path / "link.jsonl").symlink_to(articles / "rows.jsonl")
    whole = [p.text for p in read(articles)]
    for inputs in ([articles, articles], [articles, articles / "rows.jsonl"], [articles, tmp_path / "link.jsonl"]):
        assert [p.text for p in read(*inputs)] == whole
    assert sorted(p.text for p in read(articles / "rows.jsonl", articles)) == sorted(whole)


def test_a_line_that_is_too_long_is_rejected_alone(tmp_path):
    long = json.dumps({"text": "x" * (33 << 20)})
    data = f'{{"text": "a"}}\n{long}\n{{"text": "b"}}\nbroken\n'.encode()
    (tmp_path / "a.jsonl").write_bytes(data)
    packed(tmp_path / "a.jsonl.zst", data)
    for name in ("a.jsonl", "a.jsonl.zst"):
        texts, (first, second) = kept(tmp_path / name)
        assert texts == ["a", "b"]
        assert "the line at byte 14 has more than 16,777,216 bytes" in first
        assert second.startswith(f"{tmp_path / name}:4: not JSON")
        with pytest.raises(InputError, match="the line at byte 14 has more"):
            read(tmp_path / name)


def test_a_file_that_is_named_and_cannot_be_read_is_rejected_as_one_of_a_folder(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "b.jsonl").write_text("")
    (tmp_path / "c.parquet").write_bytes(b"PAR1 no")
    texts, reasons = kept(tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "c.parquet")
    assert (texts, len(reasons)) == (["a"], 2)
    with pytest.raises(InputError, match="no input that can be read"):
        kept(tmp_path / "b.jsonl")
    with pytest.raises(InputError, match="no file or folder"):
        kept(tmp_path / "d.jsonl")
    with pytest.raises(InputError, match="leave out format jsonl"):
        kept(tmp_path, format="jsonl")


def test_nothing_vanishes_uncounted(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id": "x", "text": "  "}\n{"id": "y", "text": "One.\\n\\nTwo."}\n')
    assert [(p.id, p.text) for p in read(tmp_path / "a.jsonl", cut=True)] == [
        ("x#0", "  "),
        ("y#0", "One."),
        ("y#1", "Two."),
    ]
    (tmp_path / "b.md").write_text("---\ntitle: x\n---\n")
    with pytest.raises(InputError, match=r"b\.md has no paragraph"):
        read(tmp_path / "b.md")
    assert kept(tmp_path / "b.md") == ([], [f"{tmp_path / 'b.md'} has no paragraph; leave it out"])


def test_rows_that_are_no_texts(tmp_path):
    with pytest.raises(TextTypeError, match=r"write Rows\(\[text\]\)"):
        Rows("abc")
    for odd in (None, 1):
        with pytest.raises(InputError, match=rf"row 2 is {odd}, neither a string nor a mapping"):
            split([Rows(["a", odd])], spool=tmp_path)
        texts, reasons = kept(Rows(["a", odd, "b"]), spool=tmp_path)
        assert (texts, len(reasons)) == (["a", "b"], 1)


@pytest.mark.parametrize("odd", [b"Overcapacity", Path("a"), date(2026, 1, 2), None, 5])
def test_what_is_no_string_is_no_text(tmp_path, odd):
    with pytest.raises(InputError, match=r"row 2: 'text' is .*, not a string"):
        split([Rows(["a", {"text": odd}])], spool=tmp_path)
    assert kept(Rows([{"text": odd}, "b"]), spool=tmp_path)[0] == ["b"]


def test_values_of_rows_are_kept_as_what_they_are(tmp_path):
    values = {"n": np.int64(3), "x": np.float32(0.5), "sure": np.bool_(True), "raw": b"\xff\x00"}
    values |= {"many": np.arange(2000), "day": date(2026, 1, 2), "at": np.datetime64("2026-01-02T00:00:00", "ns")}
    (found,) = [p for s in split([Rows([{"text": "a"} | values])], spool=tmp_path) for p in s.read()]
    assert (found.meta["n"], found.meta["x"], found.meta["sure"], found.meta["raw"]) == (3, 0.5, True, "/wA=")
    assert (found.meta["many"], found.meta["day"]) == (list(range(2000)), "2026-01-02")
    assert found.meta["at"].startswith("2026-01-02T00:00:00")
    texts, reasons = kept(Rows([{"text": "a", (1, 2): 3}, "b"]), spool=tmp_path)
    assert (texts, len(reasons)) == (["b"], 1)
    assert "row 1 cannot be written as JSON (keys must be str" in reasons[0]


def test_what_a_folder_cannot_give_is_told(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "z.txt").write_text("Z.")
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.txt", "b.csv.gz", "notes.pdf", "secret.txt", "sheet.tar.gz", ".hidden.csv.gz"):
        (folder / name).write_text("A.")
    (folder / "gone.jsonl").symlink_to(tmp_path / "none.jsonl")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "secret.txt" and real(path, mode))
    texts, reasons = kept(folder)
    assert texts == ["A."]
    assert [reason.removeprefix(f"{folder}/").split(";")[0] for reason in reasons] == [
        "b.csv.gz: only jsonl is read packed",
        "gone.jsonl: no file, or a link to one that is gone",
        "linked: a link to a folder, which is not followed",
        "secret.txt: no permission to read it",
    ]
    for inputs in (folder, folder / "secret.txt"):
        with pytest.raises(InputError, match=r"only jsonl is read packed|secret.txt: no permission"):
            split([inputs])


def test_a_table_without_the_column_loses_every_row_by_name(tmp_path):
    (tmp_path / "a.csv").write_text("body,n\nx,1\ny,2\n")
    (tmp_path / "b.txt").write_text("Fine.")
    texts, reasons = kept(tmp_path)
    assert texts == ["Fine."]
    assert [reason.split("a.csv")[1].split(";")[0] for reason in reasons] == [
        ":2: no column 'text'",
        ":3: no column 'text'",
    ]


def test_a_saved_dataset_without_the_column_is_rejected(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict({"body": ["x"]}).save_to_disk(str(tmp_path / "in" / "saved"))
    (tmp_path / "in" / "b.txt").write_text("Fine.")
    texts, (reason,) = kept(tmp_path / "in")
    assert texts == ["Fine."]
    assert "saved: no column 'text'; it has: body" in reason
    with pytest.raises(InputError, match="no column 'text'"):
        read(tmp_path / "in")
