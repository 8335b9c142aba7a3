"""Labelling as one pure function: Arrow record batches in, the same batches with labels out, here or on a cluster."""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from capthemes.errors import InputError, ModelError
from capthemes.model import DEFAULT, Model, load, stamp
from capthemes.reading import apart, is_string
from capthemes.records import ANSWERS, label_type
from capthemes.text import scripts

if TYPE_CHECKING:
    import pyarrow

SCHEMA = 2  # of the output's columns; 2 brought probabilities
LANGUAGES = ("auto", "en", "zh")
BATCH = 2000  # paragraphs that are predicted together


def label_batches(
    batches: "Iterable[pyarrow.RecordBatch]",
    model: Model | str | Path = DEFAULT,
    *,
    text: str = "text",
    lang: str = "auto",
    fingerprint: str | None = None,
) -> "Iterator[pyarrow.RecordBatch]":
    """Each batch with lang after its text, and labels, probabilities, model and schema after all its columns.

    The columns are those of `labelled_schema`; rows stay as they are and where they are. A null text is unread: its
    lang, labels and probabilities are null. `lang` is what is written under lang: the rows' own or else found by
    script ("auto"), or "en" or "zh" throughout. A model that is given by name or folder is loaded once by each
    process; where `fingerprint` is given it must be that one's.

    Raises InputError for a column `text` that is missing or holds no strings, ModelError for another fingerprint.
    """
    model = model if isinstance(model, Model) else loaded(str(model))
    if fingerprint is not None and model.fingerprint != fingerprint:
        raise ModelError(f"model {model.id} is here another than {fingerprint[:12]}; bring the same to all machines")
    for whole in batches:
        schema = labelled_schema(whole.schema, model, text=text, lang=lang)
        for start in range(0, max(len(whole), 1), BATCH):
            yield _label(whole.slice(start, BATCH), model, text, lang, schema)


def labelled_schema(
    schema: "pyarrow.Schema", model: Model, *, text: str = "text", lang: str = "auto"
) -> "pyarrow.Schema":
    """The schema of what `label_batches` makes of batches of `schema`.

    Its metadata have the model's themes, stances and voices (JSON); the probabilities are in the order of the themes.
    A column that is named as one of ours is called input_NAME and comes last.
    """
    import pyarrow

    if text not in schema.names:
        raise InputError(f"no column {text!r}; there are: {', '.join(schema.names)}; name the text's column with text=")
    if twice := next((name for name in schema.names if schema.names.count(name) > 1), None):
        raise InputError(f"two columns are called {twice!r}; rename one")
    kinds = {name: schema.field(name).type for name in schema.names}
    if not is_string(kinds[text]):
        raise InputError(f"column {text!r} holds {kinds[text]}, not strings; name the text's column with text=")
    fields = []
    for name, fresh in _kept(schema, text, lang).items():
        fields.append(pyarrow.field(fresh, kinds[name]))
        if name == text:
            fields.append(pyarrow.field("lang", pyarrow.string()))
    book = model.codebook
    fields += [
        pyarrow.field("labels", label_type()),
        pyarrow.field("probabilities", pyarrow.list_(pyarrow.float32(), len(book.names))),
        pyarrow.field("model", pyarrow.string()),
        pyarrow.field("schema", pyarrow.int32()),
    ]
    known = {"themes": list(book.names), "stances": list(book.stances), "voices": list(book.voices)}
    return pyarrow.schema(fields, {name: json.dumps(values) for name, values in known.items()})


def loaded(model: str) -> Model:
    """A model by name or folder, loaded once by each process, and anew where another was saved there."""
    return _loaded(model, stamp(model))


@lru_cache(maxsize=1)
def _loaded(model: str, stamp: tuple[int, ...]) -> Model:
    return load(model)


def _kept(schema: "pyarrow.Schema", text: str, lang: str) -> dict[str, str]:
    """The input's columns and what they are called beside ours; its own lang is ours where that is automatic."""
    if _tells_languages(schema, text, lang):
        return apart([name for name in schema.names if name != "lang"], ANSWERS)
    return apart(schema.names, (*ANSWERS, "lang"))


def _tells_languages(schema: "pyarrow.Schema", text: str, lang: str) -> bool:
    """Whether the input's own lang is used: lists, objects and bytes cannot be, nor can the text itself."""
    from pyarrow import types

    if lang != "auto" or text == "lang" or "lang" not in schema.names:
        return False
    kind = schema.field("lang").type
    return bool(is_string(kind) or types.is_null(kind) or types.is_primitive(kind))


def _label(
    batch: "pyarrow.RecordBatch", model: Model, text: str, lang: str, schema: "pyarrow.Schema"
) -> "pyarrow.RecordBatch":
    import pyarrow
    import pyarrow.compute as compute

    texts = batch[text].cast(pyarrow.string())
    known = texts.is_valid()
    predicted = model.predict(texts.drop_null()).to_arrow()
    # a null text takes row null of what was predicted
    rows = compute.if_else(known, compute.subtract(compute.cumulative_sum(known.cast(pyarrow.int64())), 1), None)
    columns = {}
    for name, fresh in _kept(batch.schema, text, lang).items():
        columns[fresh] = batch[name]
        if name == text:
            own = batch["lang"] if _tells_languages(batch.schema, text, lang) else None
            columns["lang"] = _languages(texts, own, lang)
    for name in ("labels", "probabilities"):
        column = predicted[name].combine_chunks()
        columns[name] = column if not texts.null_count else column.take(rows)
    columns["model"] = pyarrow.repeat(model.id, len(batch))
    columns["schema"] = pyarrow.repeat(pyarrow.scalar(SCHEMA, pyarrow.int32()), len(batch))
    return pyarrow.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _languages(texts: "pyarrow.Array", own: "pyarrow.Array | None", lang: str) -> "pyarrow.Array":
    """The language of each text: as given, or its own where there is one, or else by its script."""
    import pyarrow
    import pyarrow.compute as compute

    if lang != "auto":
        return compute.if_else(texts.is_valid(), lang, None)
    found = scripts(texts)
    if own is None:
        return found
    own = own.cast(pyarrow.string())
    told = compute.if_else(compute.not_equal(own, "").fill_null(False), own, found)
    return compute.if_else(texts.is_valid(), told, None)
