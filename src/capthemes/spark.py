"""Labelling on Apache Spark: a DataFrame goes through `label_batches`, partition by partition."""

from collections.abc import Iterator
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

from capthemes.batches import label_batches, labelled_schema, loaded
from capthemes.errors import InputError
from capthemes.model import DEFAULT

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame


def label(df: "DataFrame", text: str = "text", model: str | Path = DEFAULT, lang: str = "auto") -> "DataFrame":
    """The rows of a DataFrame with the columns that `label_batches` adds; lazy, as Spark is.

    `model` is a bundled model's name or a folder that all machines see; each Python worker loads it once, and refuses
    one that is not, by its fingerprint, that of the driver. The probabilities are an array of floats. The labels are,
    bit for bit, those of a local run, but for a model with a transformer in it, as `accurate` is: its probabilities
    change in the last digits with what is padded together.

    Raises InputError for a column that is missing or holds no strings, ModelError for a model that cannot be loaded.
    """
    try:
        from pyspark.sql.pandas.types import from_arrow_schema
    except ModuleNotFoundError:
        raise InputError("Spark is not installed: pip install 'capthemes[spark]'") from None
    reader = loaded(str(model))
    schema = _plain(labelled_schema(_arrow_schema(df), reader, text=text, lang=lang))
    labelled = partial(_label, model=str(model), fingerprint=reader.fingerprint, text=text, lang=lang)
    return df.mapInArrow(labelled, from_arrow_schema(schema))


def _arrow_schema(df: "DataFrame") -> "pyarrow.Schema":
    """The schema of a DataFrame's batches; newer Sparks ask which time zone its timestamps are told in."""
    from pyspark.sql.pandas.types import to_arrow_schema

    if "timezone" not in signature(to_arrow_schema).parameters:
        return to_arrow_schema(df.schema)
    return to_arrow_schema(df.schema, timezone=df.sparkSession.conf.get("spark.sql.session.timeZone"))


def _label(
    batches: "Iterator[pyarrow.RecordBatch]", model: str, fingerprint: str, text: str, lang: str
) -> "Iterator[pyarrow.RecordBatch]":
    for batch in label_batches(batches, model, text=text, lang=lang, fingerprint=fingerprint):
        yield batch.cast(_plain(batch.schema))


def _plain(schema: "pyarrow.Schema") -> "pyarrow.Schema":
    """Spark has no lists of fixed size."""
    import pyarrow

    at = schema.get_field_index("probabilities")
    return schema.set(at, pyarrow.field("probabilities", pyarrow.list_(pyarrow.float32())))
