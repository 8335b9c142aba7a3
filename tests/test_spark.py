"""Clusters: Spark with a real JVM, and the engines that take the same function, against the local run, bit for bit."""

import importlib.util
import inspect
import os
import shutil
import sys

import pyarrow
import pyarrow.parquet
import pytest

from capthemes import spark
from capthemes.batches import label_batches, labelled_schema
from capthemes.errors import InputError, ModelError
from capthemes.labelling import label_corpus
from conftest import ROOT

pytestmark = pytest.mark.filterwarnings("ignore")  # pyspark warns of what it was built on

JVM = shutil.which("java") is not None and importlib.util.find_spec("pyspark") is not None
needs_spark = pytest.mark.skipif(not JVM and "CI" not in os.environ, reason="no JVM or no pyspark")
ADDED = ["lang", "labels", "probabilities", "model", "schema"]


@pytest.fixture(scope="module")
def session():
    """Spark on two threads, whose Python is this one."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    made = builder.config("spark.driver.memory", "512m").config("spark.driver.host", "127.0.0.1").getOrCreate()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def texts() -> pyarrow.Table:
    """Sixty rows of both languages, odd ones among them."""
    odd = ["", "\x00", "😀 overcapacity", "x" * 5000]
    made = [f"Steel mills in county {i} must cut overcapacity." for i in range(28)]
    made += [f"第{i}个县的产能过剩必须化解，反对内卷式竞争。" for i in range(28)]
    return pyarrow.table({"id": [f"p{i}" for i in range(60)], "year": list(range(60)), "text": made + odd})


@pytest.fixture(scope="module")
def local(texts, tmp_path_factory) -> pyarrow.Table:
    """What the local run makes of them."""
    folder = tmp_path_factory.mktemp("local")
    pyarrow.parquet.write_table(texts, folder / "in.parquet")
    label_corpus([folder / "in.parquet"], folder / "out.parquet")
    return pyarrow.parquet.read_table(folder / "out.parquet")


def rows(table: pyarrow.Table) -> dict[str, dict]:
    """The rows by id, of the columns that were added."""
    return {row["id"]: {name: row[name] for name in ADDED} for row in table.select(["id", *ADDED]).to_pylist()}


@needs_spark
@pytest.mark.parametrize("partitions", [1, 3, 7])
def test_spark_gives_the_labels_of_the_local_run(session, texts, local, partitions):
    df = session.createDataFrame(texts).repartition(partitions)
    labelled = spark.label(df, text="text", model="fast")
    assert labelled.columns == ["id", "year", "text", *ADDED]
    assert rows(labelled.toArrow()) == rows(local)


@needs_spark
def test_spark_takes_nulls_empty_partitions_and_columns_named_as_ours(session, texts, local):
    few = texts.slice(0, 2).append_column("labels", pyarrow.array(["gold", "gold"]))
    few = pyarrow.concat_tables(
        [few, pyarrow.table({**few.slice(0, 1).to_pydict(), "id": ["null"], "text": [None]}, few.schema)]
    )
    labelled = spark.label(session.createDataFrame(few).repartition(7)).toArrow()
    found = rows(labelled)
    assert labelled["input_labels"].to_pylist() == ["gold"] * 3
    assert (found["null"]["lang"], found["null"]["labels"], found["null"]["probabilities"]) == (None, None, None)
    assert {id: found[id] for id in ("p0", "p1")} == {id: rows(local)[id] for id in ("p0", "p1")}


@needs_spark
def test_spark_keeps_dates_times_and_nested_columns(session):
    moment = "timestamp'2020-01-01 12:00:00'"
    df = session.sql(
        f"select 'x' as text, date'2020-01-01' as day, {moment} as at, timestamp_ntz'2020-01-01 12:00:00' as here, "
        f"named_struct('n', 1, 'at', array({moment})) as meta, map('k', date'2020-01-02') as days, unhex('ff00') as raw"
    )
    labelled = spark.label(df).drop(*ADDED)
    assert labelled.dtypes == df.dtypes
    assert labelled.collect() == df.collect()


@needs_spark
def test_an_empty_result_has_the_schema(session, texts):
    df = session.createDataFrame(texts)
    nothing = spark.label(df.filter("year < 0"))
    assert nothing.schema == spark.label(df).schema
    assert nothing.count() == 0
    kinds = dict(nothing.dtypes)
    assert kinds["labels"] == "array<struct<theme:string,stance:string,voice:string,probability:double>>"
    assert (kinds["probabilities"], kinds["schema"]) == ("array<float>", "int")


@needs_spark
def test_spark_reads_a_runs_folder_as_it_stands(session, texts, tmp_path):
    pyarrow.parquet.write_table(texts, tmp_path / "in.parquet")
    label_corpus([tmp_path / "in.parquet"], tmp_path / "run")
    assert session.read.parquet(str(tmp_path / "run")).count() == 60


@needs_spark
def test_what_spark_cannot_label_is_refused_at_once(session, texts):
    df = session.createDataFrame(texts)
    with pytest.raises(InputError, match="no column 'body'; there are: id, year, text"):
        spark.label(df, text="body")
    with pytest.raises(InputError, match="column 'year' holds int64, not strings"):
        spark.label(df, text="year")
    with pytest.raises(ModelError, match="no model 'slow'"):
        spark.label(df, model="slow")


def test_the_function_is_pure_and_keeps_rows_where_they_are(texts, local, fast):
    cut = [batch for size in (1, 7, 60) for batch in texts.to_batches(max_chunksize=size)]
    labelled = [pyarrow.Table.from_batches([batch]) for batch in label_batches(iter(cut), "fast")]
    assert [t["id"].to_pylist() for t in labelled] == [b["id"].to_pylist() for b in cut]
    assert {t.schema for t in labelled} == {labelled_schema(texts.schema, fast)}
    whole = pyarrow.concat_tables(labelled)
    for third in range(3):
        assert rows(whole.slice(60 * third, 60)) == rows(local)
    assert list(label_batches([], "fast")) == []
    with pytest.raises(ModelError, match="is here another than 0000"):
        next(label_batches(cut, "fast", fingerprint="0000"))


def test_two_columns_of_one_name_are_refused():
    batch = pyarrow.record_batch([["a word"], ["another"]], names=["text", "text"])
    with pytest.raises(InputError, match="two columns are called 'text'; rename one"):
        next(label_batches([batch], "fast"))


def test_a_text_that_is_called_lang_is_kept(fast):
    batch = pyarrow.RecordBatch.from_pydict({"lang": ["Overcapacity in steel.", None]})
    (labelled,) = label_batches([batch], fast, text="lang")
    assert labelled["input_lang"].to_pylist() == ["Overcapacity in steel.", None]
    assert labelled["lang"].to_pylist() == ["en", None]


def table_labelled(table: pyarrow.Table) -> pyarrow.Table:
    """One Arrow table through the function, as datasets, Ray and Dask hand them over."""
    batches = table.to_batches() or [pyarrow.RecordBatch.from_pylist([], table.schema)]
    return pyarrow.Table.from_batches(label_batches(batches, "fast"))


def test_the_recipe_takes_an_empty_table(texts):
    empty = table_labelled(texts.slice(0, 0))
    assert (len(empty), empty.schema) == (0, table_labelled(texts).schema)
    recipe = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
    assert inspect.getsource(table_labelled).split('"""')[-1] in recipe


def test_datasets_map(texts, local):
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset(texts).with_format("arrow")
    labelled = dataset.map(table_labelled, batched=True, batch_size=25)
    assert rows(labelled.with_format("arrow")[:]) == rows(local)


def test_ray_map_batches(texts, local):
    data = pytest.importorskip("ray.data")
    labelled = data.from_arrow(texts).map_batches(table_labelled, batch_format="pyarrow")
    assert rows(pyarrow.concat_tables(labelled.iter_batches(batch_format="pyarrow"))) == rows(local)


def test_dask_bag(texts, local):
    bag = pytest.importorskip("dask.bag")
    tables = [texts.slice(start, 25) for start in range(0, 60, 25)]
    labelled = bag.from_sequence(tables).map(table_labelled).compute(scheduler="synchronous")
    assert rows(pyarrow.concat_tables(labelled)) == rows(local)
