"""The commands sample, prevalence and calibrate, one after the other as a user would."""

import json

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
    assert "powered" in shown.out
    frame = pandas.read_csv(table)
    one = frame.query("theme == 'overcapacity' and measure == 'paragraphs' and way == 'powered'")
    assert set(one.group.dropna()) == {2020, 2021}
    assert one.iloc[0].low < 1 / 3 < one.iloc[0].high
    assert main(["prevalence", str(run), "--measure", "stance"]) == 0
    assert "no interval without a hand-labelled sample" in capsys.readouterr().out


def test_a_group_that_looks_like_a_formula_is_written_as_text(tmp_path):
    path = tmp_path / "rows.jsonl"
    groups = ["=HYPERLINK(1)", "@cmd", "北京"]
    path.write_text("".join(json.dumps({"text": "The choir sang.", "desk": group}) + "\n" for group in groups))
    capthemes.label_corpus([path], tmp_path / "run.parquet")
    table = tmp_path / "shares.csv"
    assert main(["prevalence", str(tmp_path / "run.parquet"), "--by", "desk", "-o", str(table)]) == 0
    frame = pandas.read_csv(table)
    assert set(frame.group.dropna()) == {"'=HYPERLINK(1)", "'@cmd", "北京"}
    assert list(frame) == list(capthemes.estimate(tmp_path / "run.parquet").to_frame())
    assert frame.query("group == '北京' and measure == 'paragraphs' and way == 'counted'").share.tolist() == [0.0] * 16


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


def test_what_is_no_run_is_refused(tmp_path, capsys):
    pandas.DataFrame({"text": ["a"]}).to_parquet(tmp_path / "x.parquet")
    assert main(["prevalence", str(tmp_path / "x.parquet")]) == 1
    assert "not labelled by capthemes" in capsys.readouterr().err
    assert main(["prevalence", str(tmp_path / "none")]) == 1
    assert "nor a labelled parquet file" in capsys.readouterr().err
