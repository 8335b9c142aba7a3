"""The report's page: what a run found, as one HTML file that needs no network and no script."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from capthemes.drift import of_run
from capthemes.errors import InputError, ModelError
from capthemes.model import Model, load
from capthemes.prevalence import estimate
from capthemes.records import Paragraph
from capthemes.report.clearest import clearest
from capthemes.report.rows import gather
from capthemes.report.sections import sections
from capthemes.runs import Run, open_run
from capthemes.sampling import document_column, each_alone
from capthemes.store import write_text


def write_report(
    run: str | Path,
    output: str | Path,
    *,
    by: Sequence[str] = (),
    document: str | None = None,
    model: Model | str | Path | None = None,
    title: str | None = None,
    sample: Sequence[Paragraph] = (),
    overwrite: bool = False,
) -> list[str]:
    """Write the report of a labelled run as one HTML page; the answer says in plain sentences what it lacks.

    `by` are columns of the run: years or dates become trends, any other a table. `document` is the column whose
    values are drawn together in intervals; left out, it is the one that the sample was drawn by, else "document".
    `model` marks evidence and tells how well it reads; left out, it is the bundled model that labelled the run, if it
    still is the same. `sample` are hand-labelled paragraphs that `capthemes sample` drew from the run: by them
    estimates stand beside the counted shares.

    Raises InputError for a run that cannot be read, a column it does not have, an output that exists unless
    `overwrite`, or where jinja2 is missing; ModelError for a model that did not label the run.
    """
    output = Path(output)
    if output.is_dir() or (output.exists() and not overwrite):
        raise InputError(f"{output} exists; choose another name or overwrite it (--overwrite)")
    if not output.parent.is_dir():
        raise InputError(f"no folder {output.parent} to write {output.name} into; make it first")
    render = renderer()
    opened = open_run(run)
    document = document_column(sample, document) or "document"
    rows = gather(opened, by, document)
    reader, lacks = _model(opened, model)
    lacks += [alone] if (alone := each_alone(opened, document)) else []
    examples = clearest(opened, rows, document, reader.explain if reader is not None else None)
    found = estimate(opened, sample=sample, document=document) if sample else None
    best = [found.best(theme) for theme in opened.themes] if found else []
    estimates = {one.theme: one for one in best if one.low is not None}
    context = sections(opened, rows, Path(run), document, reader, examples, estimates, sample)
    profile = reader.profile if reader is not None else None
    drift = of_run(opened, profile, document) if profile is not None else None
    context |= {"title": title or Path(run).stem, "drift": drift, "lacks": lacks}
    write_text(output, render("report.html", **context))
    return lacks


def renderer() -> Callable[..., str]:
    """What fills a template of this package, everything escaped. Raises InputError where jinja2 is missing."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise InputError(f"a page of HTML needs {error.name}: pip install 'capthemes[report]'") from error
    from capthemes.report import charts
    from capthemes.report.clearest import marked

    pages = Environment(
        loader=PackageLoader("capthemes.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.globals |= {"charts": charts, "marked": marked}
    pages.filters |= {"words": _words, "percent": charts.percent, "count": "{:,}".format}

    def render(template: str, **context: Any) -> str:
        return pages.get_template(template).render(**context)

    return render


def _words(name: str) -> str:
    """A name as people write it: "soe_reform" is SOE reform."""
    return " ".join("SOE" if word == "soe" else word for word in name.split("_"))


def _model(run: Run, model: Model | str | Path | None) -> tuple[Model | None, list[str]]:
    """The model that labelled a run, and what the report lacks without it."""
    if model is not None:
        given = model if isinstance(model, Model) else load(model)
        if given.id != run.model:
            raise ModelError(f"the run was labelled by {run.model}, not by {given.id}; give the model that labelled it")
        return given, []
    try:
        found = load(run.model.partition("@")[0])
    except ModelError:
        found = None
    if found is not None and found.id == run.model:
        return found, []
    return None, [f"Model {run.model} is not at hand, so evidence is not marked; name its folder with --model."]
