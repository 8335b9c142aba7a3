"""Labelling a corpus: shards in, labelled parts out, one file at the end, and a summary of what was found."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capthemes.corpus import Shard, Source, output_format, split, write_table
from capthemes.errors import InputError
from capthemes.model import Model, load
from capthemes.records import Label, Paragraph, Predictions
from capthemes.store import atomic_path
from capthemes.text import script

if TYPE_CHECKING:
    import pyarrow

SCHEMA = 2  # of the output's columns; 2 brought probabilities
LANGUAGES = ("auto", "en", "zh")
STRONGEST = 3
BATCH = 2000  # paragraphs between two words of progress


@dataclass(slots=True)
class Summary:
    """What a run found: paragraphs, how many have any theme, stances by theme, the clearest paragraphs."""

    paragraphs: int = 0
    labelled: int = 0
    stances: dict[str, Counter[str | None]] = field(default_factory=dict)
    strongest: list[tuple[Label, Paragraph]] = field(default_factory=list)

    def add(self, read: Sequence[Paragraph], predicted: Predictions) -> None:
        """Count some more labelled paragraphs."""
        self.paragraphs += len(read)
        self.labelled += sum(1 for labels in predicted if labels)
        for paragraph, labels in zip(read, predicted, strict=True):
            for label in labels:
                self.stances.setdefault(label.theme, Counter())[label.stance] += 1
            if labels:
                self.strongest.append((labels[0], paragraph))
        self.strongest = sorted(self.strongest, key=lambda pair: -(pair[0].probability or 0))[:STRONGEST]


def label_corpus(
    inputs: Iterable[str | Path],
    output: str | Path,
    *,
    model: Model | str | Path | None = None,
    source: Source | None = None,
    lang: str = "auto",
    overwrite: bool = False,
    progress: Callable[[float, Summary], None] | None = None,
) -> Summary:
    """Label files, folders or standard input and write one parquet, jsonl or csv file, whole or not at all.

    Each row of the output is a paragraph: id, text, lang, the input's other columns (document and position
    among them; one named like a column of ours is kept as input_NAME), labels, and the model's id and the
    schema version. `lang` is what is written under lang: the input's own or else found by script ("auto"), or
    "en" or "zh" throughout.
    `progress` is called now and then with the share of the input that is done and the summary so far.

    Raises InputError for inputs that cannot be read, for an output that is one of the inputs, and for an output
    that exists unless `overwrite`.
    """
    if isinstance(inputs, str | Path):
        raise InputError(f"label_corpus takes a list of inputs; write label_corpus([{str(inputs)!r}], ...)")
    output = Path(output)
    form = output_format(output)
    if lang not in LANGUAGES:
        raise InputError(f"language {lang!r} is none of {', '.join(LANGUAGES)}")
    if output.is_dir() or (os.path.lexists(output) and not overwrite):
        raise InputError(f"{output} exists; choose another name or overwrite it (--overwrite)")
    if not output.parent.is_dir():
        raise InputError(f"no folder {output.parent} to write {output.name} into; make it first")
    shards = split(list(inputs), source)
    if any(path.resolve() == output.resolve() for shard in shards for path in shard.files):
        raise InputError(f"{output} is one of the inputs; write to another file or folder")
    model = model if isinstance(model, Model) else load(*([] if model is None else [model]))
    summary = Summary()
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as folder:
        parts = []
        for number, shard in enumerate(shards):
            parts.append(Path(folder) / f"part-{number:05d}.parquet")
            write_table(
                label_shard(shard, model, lang, summary, _within(number, len(shards), progress)), parts[-1], "parquet"
            )
        if not summary.paragraphs:
            raise InputError(f"no paragraph in {', '.join(str(path) for shard in shards for path in shard.files)}")
        _gather(parts, output, form)
    return summary


def label_shard(
    shard: Shard, model: Model, lang: str, summary: Summary, progress: Callable[[float, Summary], None]
) -> "pyarrow.Table":
    """The labelled rows of one shard; what they add up to is added to `summary`, `progress` told of each batch."""
    import pyarrow

    read = list(shard.read())
    answers: list[pyarrow.Table] = []
    for start in range(0, len(read), BATCH):
        batch = read[start : start + BATCH]
        predicted = model.predict([paragraph.text for paragraph in batch])
        summary.add(batch, predicted)
        answers.append(predicted.to_arrow())
        progress((start + len(batch)) / len(read), summary)
    return label_table(read, pyarrow.concat_tables(answers or [model.predict([]).to_arrow()]), model.id, lang)


def _within(
    number: int, count: int, progress: Callable[[float, Summary], None] | None
) -> Callable[[float, Summary], None]:
    """Progress within one of `count` shards, told as progress of the whole."""

    def tell(done: float, summary: Summary) -> None:
        if progress is not None:
            progress((number + done) / count, summary)

    return tell


def label_table(
    read: Sequence[Paragraph], predicted: "pyarrow.Table", model: str, lang: str = "auto"
) -> "pyarrow.Table":
    """An Arrow table of paragraphs with what was predicted of them, one row each."""
    import pyarrow

    columns: dict[str, Any] = {
        "id": _strings(paragraph.id for paragraph in read),
        "text": _strings(paragraph.text for paragraph in read),
    }
    names = dict.fromkeys(name for paragraph in read for name in paragraph.meta)
    if lang == "auto":
        names.pop("lang", None)
        columns["lang"] = _strings(str(p.meta.get("lang") or script(p.text)) for p in read)
    else:
        columns["lang"] = _strings(lang for _ in read)
    for name in names:
        values = [paragraph.meta.get(name) for paragraph in read]
        columns["input_lang" if name == "lang" else name.encode("utf-8", "replace").decode()] = _array(values)
    columns |= {name: predicted[name] for name in predicted.column_names}
    columns["model"] = pyarrow.array([model] * len(read), pyarrow.string())
    columns["schema"] = pyarrow.array([SCHEMA] * len(read), pyarrow.int32())
    return pyarrow.table(columns).replace_schema_metadata(predicted.schema.metadata)


def _strings(values: Iterable[str]) -> "pyarrow.Array":
    """Strings as Arrow has them, valid UTF-8: a lone surrogate becomes "?", as the families read it."""
    import pyarrow

    return pyarrow.array([value.encode("utf-8", "replace").decode() for value in values], pyarrow.string())


def _array(values: Sequence[Any]) -> "pyarrow.Array":
    """Values as an Arrow array; values of no common type are written as JSON strings."""
    import pyarrow

    try:
        array = pyarrow.array(values)
    except (pyarrow.ArrowException, UnicodeEncodeError, OverflowError):
        return _as_json(values)
    return _as_json(values) if "struct<>" in str(array.type) else array  # parquet has no object without fields


def _as_json(values: Sequence[Any]) -> "pyarrow.Array":
    import pyarrow

    texts = [value if value is None or isinstance(value, str) else json.dumps(value, default=str) for value in values]
    return pyarrow.array(
        [None if text is None else text.encode("utf-8", "replace").decode() for text in texts], pyarrow.string()
    )


def _gather(parts: Sequence[Path], output: Path, form: str) -> None:
    """One file of all parts, under one schema; a column whose types differ from part to part becomes strings."""
    import pyarrow
    import pyarrow.parquet

    tables = [pyarrow.parquet.read_table(part) for part in parts]
    try:
        table = pyarrow.concat_tables(tables, promote_options="permissive")
    except pyarrow.ArrowException:
        table = pyarrow.concat_tables([_plain(t, _torn(tables)) for t in tables], promote_options="permissive")
    with atomic_path(output) as temporary:
        write_table(table, temporary, form)


def _torn(tables: Sequence["pyarrow.Table"]) -> set[str]:
    """The columns that have more than one type over the tables, nulls aside."""
    import pyarrow

    kinds: dict[str, set[Any]] = {}
    for table in tables:
        for column in table.schema:
            if not pyarrow.types.is_null(column.type):
                kinds.setdefault(column.name, set()).add(column.type)
    return {name for name, types in kinds.items() if len(types) > 1}


def _plain(table: "pyarrow.Table", names: set[str]) -> "pyarrow.Table":
    for position, name in enumerate(table.column_names):
        if name in names:
            table = table.set_column(position, name, _as_json(table[name].to_pylist()))
    return table
