"""Labelling a corpus: a plan of shards, each labelled into its part, parts that stand left alone, and a summary."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from capthemes.batches import LANGUAGES, SCHEMA, loaded
from capthemes.corpus import Input, Rows, Shard, Source, split
from capthemes.errors import InputError, RunError
from capthemes.model import DEFAULT, Model
from capthemes.reading import halt
from capthemes.runs import BEGUN, FINISHED, FORMAT, GATHERED, PARTS, STATE, RunFolder, rejects_file
from capthemes.store import fingerprint_bytes, fingerprint_file, sweep, write_text
from capthemes.summary import Summary
from capthemes.workers import Job, Progress, Rejects, label_shards
from capthemes.writing import output_format

ON_ERROR = ("stop", "skip")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run's result goes: into one file of some form, or, where that is None, into the run's own folder."""

    output: Path
    form: str | None
    run: RunFolder

    @classmethod
    def of(cls, output: Path, parts: str) -> "Target":
        """The target that an output's name asks for. Raises InputError for an ending that cannot be written."""
        if parts not in PARTS:
            raise InputError(f"parts {parts!r} are none of {', '.join(PARTS)}")
        if output.name in ("", ".."):
            output = output.resolve()
        if output.suffix:
            return cls(output, output_format(output), RunFolder.beside(output))
        return cls(output, None, RunFolder(output, parts))

    @property
    def rejects(self) -> Path:
        """The file of what could not be read."""
        return rejects_file(self.output)

    def check(self, resume: bool, overwrite: bool) -> None:
        """Raise InputError where the output cannot be written, or there is no run to go on with."""
        if self.form and self.output.is_file() and not overwrite:
            self.run.tidy()
        output, about = self.output, self.run.about()
        if not output.absolute().parent.is_dir():
            raise InputError(f"no folder {output.parent} to write {output.name} into; make it first")
        if resume and not about:
            raise InputError(f"no run was begun for {output}; leave --resume out")
        if self.form is None:
            if (
                output.exists()
                and not about
                and (not output.is_dir() or any(path.name != STATE for path in output.iterdir()))
            ):
                raise InputError(f"{output} exists and is no run's folder; choose another name")
        elif output.is_dir() or (os.path.lexists(output) and not overwrite and about.get("state", BEGUN) == BEGUN):
            raise InputError(f"{output} exists; choose another name or overwrite it (--overwrite)")

    def check_apart(self, inputs: Sequence[Input], shards: Sequence[Shard]) -> None:
        """Raise InputError where the output is one of the inputs, or one of the two is a folder and holds the other."""
        files = {path.resolve() for shard in shards for path in shard.files}
        folders = {Path(given).resolve() for given in inputs if isinstance(given, str | Path) and Path(given).is_dir()}
        mine, run, state = (path.resolve() for path in (self.output, self.run.path, self.run.state))
        within = any(run in path.parents and state not in path.parents for path in files)
        if mine in files or within or (self.form is None and folders.intersection((mine, *mine.parents))):
            raise InputError(f"{self.output} is one of the inputs; write to another file or folder")

    def finish(self, count: int, rejects: Rejects) -> Summary:
        """Make the result of the `count` parts, all of which stand; where that was done before, tidy up.

        Of several ranks that come here one does it, and the others find nothing left to do.
        """
        run, summary = self.run, self.run.summary(count)
        try:
            with run.alone():
                return self._finish(count, rejects) if run.about() else summary
        except FileNotFoundError:
            if run.state.exists() or not self.output.exists():
                raise
            return summary

    def _finish(self, count: int, rejects: Rejects) -> Summary:
        run = self.run
        if run.about()["state"] == BEGUN:
            self._complete(count, rejects)
        summary = run.summary(count)
        if self.form is None:
            run.clean()
            return summary
        if run.about()["state"] == FINISHED:
            sweep(self.output)
            run.gather(count, self.output, self.form)
            run.write(run.about() | {"state": GATHERED})
        run.discard()
        return summary

    def _complete(self, count: int, rejects: Rejects) -> None:
        run, summary = self.run, self.run.summary(count)
        lines = rejects.lines + [line for number in range(count) for line in run.found(number)[1]]
        summary.rejected.update(line["file"] for line in rejects.lines)
        sweep(self.rejects)
        if lines:
            write_text(self.rejects, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        else:
            self.rejects.unlink(missing_ok=True)
        if not summary.paragraphs:
            told = f"; {self.rejects} has the reasons" if lines else ""
            raise InputError(
                f"no paragraph in what {self.output} was to be made of; {len(lines)} rows were rejected{told}"
            )
        run.unify(count)
        run.publish(count)
        run.write(run.about() | {"state": FINISHED, "summary": summary.to_dict()})


def label_corpus(
    inputs: Iterable[Input],
    output: str | Path,
    *,
    model: Model | str | Path | None = None,
    source: Source | None = None,
    lang: str = "auto",
    parts: str = "parquet",
    workers: int = 1,
    rank: int = 0,
    world: int = 1,
    on_error: str = "stop",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Label files, folders, standard input, datasets or Rows, into one file or a run's folder; go on with a run.

    An output that ends in .parquet, .jsonl or .csv is one file, whole or not at all; any other is the folder of a run,
    whose `parts` are parquet or jsonl. Where the run was begun before and broken off, it goes on: the parts that stand
    are left alone, and the bytes are in the end those of a run that nothing disturbed. `resume` asks for a run that was
    begun; `overwrite` replaces a file, or a run of something else.

    Each row is a paragraph: id, text, lang, the input's other columns (document and position among them; one named
    like a column of ours is kept as input_NAME), labels, probabilities (parquet), the model's id and the schema
    version. `lang` is what is written under lang: the input's own or else found by script ("auto"), or "en" or "zh"
    throughout. `workers` processes label shards side by side; `rank` of `world` labels every world-th shard only,
    and whichever rank comes last finishes the run. A row that cannot be read stops the run, or with
    `on_error="skip"` goes, with the reason, to OUTPUT.rejects.jsonl. `progress` is called now and then with the share
    of the input, of a rank's own shards, that is done and the summary so far.

    Raises InputError for inputs that cannot be read, for an output that is one of the inputs, and for an output that
    exists; RunError where another run is writing, where this one was begun with another input, model or schema, or
    where it was finished and a part is gone.
    """
    if isinstance(inputs, str):
        raise InputError(f"label_corpus takes a list of inputs; write label_corpus([{inputs!r}], ...)")
    if lang not in LANGUAGES:
        raise InputError(f"language {lang!r} is none of {', '.join(LANGUAGES)}")
    if on_error not in ON_ERROR:
        raise InputError(f"on_error {on_error!r} is none of {', '.join(ON_ERROR)}")
    if not 0 <= rank < world or workers < 1:
        raise InputError(f"rank {rank} of world {world}, workers {workers}: a rank is 0 to world-1, workers 1 or more")
    if isinstance(model, Model) and workers > 1:
        raise InputError("each worker loads the model for itself: give its name or folder, not a loaded model")
    target = Target.of(Path(output), parts)
    target.check(resume, overwrite)
    reader = model if isinstance(model, Model) else loaded(str(model or DEFAULT))
    job = Job(target.run, str(model or DEFAULT), reader.fingerprint, lang, on_error == "skip", os.getpid())
    run, begun, rejects = target.run, bool(target.run.about()), Rejects()
    try:
        with run.held(rank, world):
            given = [inputs] if _is_one(inputs) else list(inputs)
            shards = split(given, source, spool=run.state / "input", reject=rejects.take if job.skip else halt)
            target.check_apart(given, shards)
            stats = _stats(shards)
            files = _inputs(shards)
            run.begin(_about(shards, files, reader, source or Source(), lang, parts), files, overwrite)
            if target.form is None:
                run.check_whole()
            with _stopping(run, len(shards)):
                if run.about().get("state") == BEGUN:
                    label_shards(job, reader, shards, range(rank, len(shards), world), workers, progress)
                if run.about().get("state") == BEGUN and run.done(len(shards)) < len(shards):
                    return run.summary(len(shards))  # a rank that has more to do will finish
                if stats != _stats(shards) and files != _inputs(shards):  # a rank copies anew what stays the same
                    raise RunError("an input changed while it was read; give the command again to see which")
                return target.finish(len(shards), rejects)
    except KeyboardInterrupt as stopped:
        told = str(stopped) or "stopped while the input was read through; give the same command again"
        raise KeyboardInterrupt(told) from None
    except InputError:
        if world == 1 and not begun and run.state.is_dir() and (target.form or not any(run.work.glob("part-*"))):
            run.discard()  # of several ranks the others may have parts in it
        raise


def _is_one(inputs: Any) -> bool:
    """Whether inputs are one input by itself: a path, Rows, or a dataset."""
    return isinstance(inputs, Path | Rows) or hasattr(inputs, "with_format")


def _files(shards: Sequence[Shard]) -> Iterator[tuple[str, Path]]:
    """The input's files, each once, by what they are called."""
    named = {shard.name(path): path for shard in shards for path in shard.files}
    for name, path in named.items():
        if path.is_dir():
            yield from ((f"{name}/{inner.name}", inner) for inner in sorted(path.iterdir()))
        else:
            yield name, path


def _stats(shards: Sequence[Shard]) -> dict[str, tuple[int, int]]:
    """What tells cheaply that a file is still the same."""
    return {name: (path.stat().st_size, path.stat().st_mtime_ns) for name, path in _files(shards)}


def _inputs(shards: Sequence[Shard]) -> list[dict[str, Any]]:
    return [
        {"file": name, "bytes": path.stat().st_size, "sha256": fingerprint_file(path)} for name, path in _files(shards)
    ]


def _about(
    shards: Sequence[Shard], inputs: Sequence[dict[str, Any]], model: Model, source: Source, lang: str, parts: str
) -> dict[str, Any]:
    """What a run is bound to: run.json as it is begun. No clock and no machine is in it."""
    from importlib.metadata import version

    book = model.codebook
    return {
        "format": FORMAT,
        "state": BEGUN,
        "capthemes": version("capthemes"),
        "schema": SCHEMA,
        "model": model.id,
        "fingerprint": model.fingerprint,
        "codebook": {"version": book.version, "sha256": fingerprint_bytes(book.text.encode())},
        "themes": list(book.names),
        "stances": list(book.stances),
        "voices": list(book.voices),
        "lang": lang,
        "source": asdict(source),
        "parts": parts,
        "input": {
            "files": len(inputs),
            "bytes": sum(line["bytes"] for line in inputs),
            "sha256": fingerprint_bytes(json.dumps(inputs).encode()),
        },
        "shards": len(shards),
    }


@contextmanager
def _stopping(run: RunFolder, count: int) -> Iterator[None]:
    """Say, of what stops a run, how much stands and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; {_standing(run, count)}") from None
    except OSError as error:
        raise RunError(f"{error.filename or run.path}: {error.strerror or error}; {_standing(run, count)}") from error
    except RunError as error:
        raise RunError(f"{error}; {_standing(run, count)}") from error


def _standing(run: RunFolder, count: int) -> str:
    if run.about().get("state", GATHERED) == GATHERED:
        return f"the output is whole: give the same command again to remove {run.path}"
    return f"{run.done(count)} of {count} parts stand in {run.path}: give the same command again to go on"
