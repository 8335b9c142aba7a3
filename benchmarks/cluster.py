"""Clusters: a parquet file is labelled by Spark on local[2] and by the command's own way, and the columns compared."""

import json
import os
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import pyarrow
import pyarrow.parquet

from benchmarks.sheet import filled
from capthemes import annotations, spark
from capthemes.labelling import label_corpus
from capthemes.runs import open_run

SHEET = Path(__file__).parent / "resume.md"
RESULTS = Path(__file__).parent / "results" / "cluster.json"
COMPARED = ["id", "text", "lang", "labels", "probabilities", "model", "schema"]


def run(rows: int) -> None:
    """Label so many rows both ways, and put what came of it into the table."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = [paragraph.text for paragraph in annotations.paragraphs("written")]
        made = pyarrow.table({"id": [f"p{i:09d}" for i in range(rows)], "text": list(islice(cycle(texts), rows))})
        pyarrow.parquet.write_table(made, folder / "in.parquet", row_group_size=10_000)
        began = time.monotonic()
        label_corpus([folder / "in.parquet"], folder / "local")
        local = time.monotonic() - began
        began = time.monotonic()
        spark.label(session.read.parquet(str(folder / "in.parquet"))).write.parquet(str(folder / "spark"))
        seconds = time.monotonic() - began
        ours = pyarrow.Table.from_batches(open_run(folder / "local").batches(COMPARED))
        theirs = pyarrow.parquet.read_table(folder / "spark").select(COMPARED).sort_by("id").cast(ours.schema)
        same = all(theirs[name].to_pylist() == ours[name].to_pylist() for name in COMPARED)
    found = {"rows": rows, "local": round(local), "spark": round(seconds), "same": same}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8")), encoding="utf-8")


def rendered(sheet: str) -> str:
    """The sheet with the table of what was measured last."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    lines = ["| rows | one process | Spark, local[2] | all columns equal, bit for bit |", "|---" * 4 + "|"]
    lines.append(
        f"| {found['rows']:,} | {found['local']:,} s | {found['spark']:,} s | {'yes' if found['same'] else 'no'} |"
    )
    return filled(sheet, {"cluster": lines})
