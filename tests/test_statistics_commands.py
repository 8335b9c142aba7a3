"""The commands sample, prevalence and calibrate, one after the other as a user would."""

import json
import re

import pandas
import pytest

import capthemes
from capthemes.cli import main
from conftest import ROOT


@pytest.fixture
def run(tmp_path):
    """A labelled run of forty rows over two years."""
    texts = [
        "Steel mills cut output, since supply far exceeds demand.",
        "The choir sang.",
        "各地不得违规出台招商引资优惠政策。",
    ]
    rows = [{"id": f"r{i}", "text": f"{texts[i % 3]} ({i})", "year": 2020 + i % 2} for i in range(42)]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    capthemes.label_corpus([path], tmp_path / "run.parquet")
    return tmp_path / "run.parquet"


def test_a_sample_is_drawn_labelled_and_makes_shares(run, tmp_path, capsys):
    sample = tmp_path / "sample.jsonl"
    assert main(["sample", str(run), "-n", "30", "-o", str(sample), "--power", "0.1"]) == 0
    shown = capsys.readouterr().out
    assert "with predictions" in shown
    assert f"wrote {sample}, 30 paragraphs to label" in shown
    rows = [json.loads(line) for line in sample.read_text(encoding="utf-8").splitlines()]
    for row in rows[:28]:
        row["labels"] = [{"theme": "overcapacity", "stance": "critical"}] if "Steel" in row["text"] else []
    sample.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    table = tmp_path / "shares.csv"
    assert main(["prevalence", str(run), "--by", "year", "--sample", str(sample), "-o", str(table)]) == 0
    shown = capsys.readouterr()
    assert "2 of the sample's paragraphs are not labelled yet" in shown.err
    assert shown.out.splitlines()[0].endswith("powered    kind  more labels")
    assert main(["report", str(run), "--sample", str(sample), "-o", str(tmp_path / "r.html")]) == 0
    assert "2 of the sample's paragraphs are not labelled yet" in capsys.readouterr().err
    frame = pandas.read_csv(table)
    one = frame.query("theme == 'overcapacity' and measure == 'paragraphs' and way == 'powered'")
    assert set(one.group.dropna()) == {2020, 2021}
    assert one.iloc[0].low < 1 / 3 < one.iloc[0].high
    assert re.search(rf"(?m)^overcapacity +all .* wilson +{one.iloc[0].needed:,.0f}$", shown.out)
    assert main(["prevalence", str(run), "--measure", "stance"]) == 0
    assert "no interval without a hand-labelled sample" in capsys.readouterr().out


def test_the_table_of_shares_finds_each_estimate_once(run, monkeypatch, capsys):
    """It took quadratic time to ask for them one by one."""
    monkeypatch.delattr("capthemes.prevalence.Prevalence.of")
    assert main(["prevalence", str(run), "--by", "id"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 16 * 43


def test_estimates_are_safe_in_a_spreadsheet_and_replace_no_file(tmp_path, capsys):
    group = '=HYPERLINK("http://x.example")'
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "Steel mills cut output.", "outlet": group}) + "\n")
    capthemes.label_corpus([tmp_path / "rows.jsonl"], tmp_path / "run.parquet")
    table = tmp_path / "shares.csv"
    command = ["prevalence", str(tmp_path / "run.parquet"), "--by", "outlet", "-o", str(table)]
    assert main(command) == 0
    assert set(pandas.read_csv(table).group.dropna()) == {f"'{group}"}
    before = table.read_bytes()
    assert main(command) == 1
    assert f"{table} exists; choose another name" in capsys.readouterr().err
    assert table.read_bytes() == before


def test_a_sample_is_never_written_over_labels(run, tmp_path, capsys):
    (tmp_path / "sample.jsonl").write_text("labels of an afternoon")
    assert main(["sample", str(run), "-n", "5", "-o", str(tmp_path / "sample.jsonl")]) == 1
    assert "may hold labels" in capsys.readouterr().err
    assert main(["sample", str(run)]) == 1
    assert "-o sample.jsonl" in capsys.readouterr().err


def test_a_model_is_calibrated_on_labels_of_ones_own(tmp_path, capsys):
    labelled = ROOT / "annotations" / "written" / "dev.jsonl"
    assert main(["calibrate", str(labelled), "-o", str(tmp_path / "mine")]) == 0
    assert "recall 0.9 holds" in capsys.readouterr().out
    mine = capthemes.load(tmp_path / "mine")
    with pytest.warns(capthemes.errors.GuaranteeWarning):
        assert mine.predict(["Steel supply far exceeds demand."], recall=0.9)[0]
    assert mine.name == "mine"


def test_documents_of_the_inputs_own_are_asked_for_and_kept(tmp_path, capsys):
    rows = [{"text": f"Steel mills cut output. ({i})", "document": f"d{i // 5}"} for i in range(60)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run, sample = tmp_path / "run.parquet", tmp_path / "sample.jsonl"
    capthemes.label_corpus([tmp_path / "rows.jsonl"], run)
    advice = "--document input_document"
    assert main(["sample", str(run), "-n", "20", "--documents", "-o", str(tmp_path / "alone.jsonl")]) == 0
    assert advice in capsys.readouterr().out
    own = ["--documents", "--document", "input_document"]
    assert main(["sample", str(run), "-n", "20", *own, "-o", str(sample)]) == 0
    assert advice not in capsys.readouterr().out
    drawn = [json.loads(line) | {"labels": []} for line in sample.read_text(encoding="utf-8").splitlines()]
    sample.write_text("".join(json.dumps(row) + "\n" for row in drawn), encoding="utf-8")
    assert main(["prevalence", str(run)]) == 0
    assert advice in capsys.readouterr().out
    assert main(["prevalence", str(run), "--sample", str(sample)]) == 0
    assert advice not in capsys.readouterr().out
    page = tmp_path / "r.html"
    assert main(["report", str(run), "--sample", str(sample), "-o", str(page)]) == 0
    assert advice not in capsys.readouterr().out
    assert "60 paragraphs from 12 documents" in page.read_text(encoding="utf-8")
    assert main(["report", str(run), "--overwrite", "-o", str(page)]) == 0
    assert advice in capsys.readouterr().out
    assert "60 paragraphs from 60 documents" in page.read_text(encoding="utf-8")
    calibrate = ["calibrate", str(sample), "-o", str(tmp_path / "mine")]
    assert main([*calibrate, "--document", "id"]) == 1
    assert "no paragraph has a column 'id'" in capsys.readouterr().err
    assert main([*calibrate, "--document", "document"]) == 1
    assert "drawn by 'input_document', which 'document' takes apart" in capsys.readouterr().err
    assert main(calibrate) == 0
    assert len(set(capthemes.load(tmp_path / "mine").held_out.document)) == 4


def test_a_recall_that_cannot_be_leaves_no_model(tmp_path, capsys):
    labelled = ROOT / "annotations" / "written" / "dev.jsonl"
    assert main(["calibrate", str(labelled), "--recall", "2", "-o", str(tmp_path / "mine")]) == 1
    assert "cannot be guaranteed" in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_what_is_no_run_is_refused(tmp_path, capsys):
    pandas.DataFrame({"text": ["a"]}).to_parquet(tmp_path / "x.parquet")
    assert main(["prevalence", str(tmp_path / "x.parquet")]) == 1
    assert "not labelled by capthemes" in capsys.readouterr().err
    assert main(["prevalence", str(tmp_path / "none")]) == 1
    assert "nor a labelled parquet file" in capsys.readouterr().err
