"""The clearest paragraphs of a run: for each theme and stance those of the highest probability, evidence marked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from capthemes.records import Label, Span
from capthemes.report.rows import NONE, Rows
from capthemes.runs import Run, document_names
from capthemes.text import script

if TYPE_CHECKING:
    from markupsafe import Markup

EACH = 2  # paragraphs for a theme and stance
TRIED = 4 * EACH  # of them some repeat one text or come from one document
LONGEST = 1500  # characters of a paragraph that are shown


@dataclass(frozen=True, slots=True)
class Example:
    """One label of one paragraph, to be shown; `given` are the paragraph's values of the columns asked for."""

    label: Label
    text: str
    lang: str
    id: str
    document: str
    given: Mapping[str, str]

    def marked(self) -> "Markup":
        """The text with its evidence in <mark>, cut at LONGEST characters."""
        return marked(self.text, self.label.evidence, LONGEST)


def clearest(
    run: Run, rows: Rows, document: str, explain: Callable[[str], Sequence[Label]] | None
) -> dict[str, dict[str | None, list[Example]]]:
    """Theme -> stance -> the clearest paragraphs, from different documents and of different words.

    `explain` finds their evidence; without it none is marked.
    """
    cells = list(_candidates(rows))
    wanted = np.unique(np.array([rows.row_of[label] for _, _, labels in cells for label in labels], dtype=np.intp))
    fetched = _fetched(run, wanted, document, [column.name for column in rows.columns])
    found = {number: (row, source) for number, row, source in fetched}
    shown: dict[str, dict[str | None, list[Example]]] = {}
    for theme, stance, labels in cells:
        seen: set[str] = set()
        kept = shown.setdefault(rows.themes[theme], {}).setdefault(_named(rows.stances, stance), [])
        for place in labels:
            row, source = found[int(rows.row_of[place])]
            if len(kept) == EACH or {row["text"], source} & seen:
                continue
            seen |= {row["text"], source}
            kept.append(_example(rows, int(place), row, document, source, explain))
    return shown


def _candidates(rows: Rows) -> Iterator[tuple[int, int, np.ndarray]]:
    """Theme, stance, and the labels of both that are the most probable, in order."""
    for theme in range(len(rows.themes)):
        for stance in [*range(len(rows.stances)), NONE]:
            labels = np.flatnonzero((rows.theme_of == theme) & (rows.stance_of == stance))
            if len(labels):
                yield theme, stance, labels[np.argsort(-rows.probability[labels], kind="stable")[:TRIED]]


def _fetched(
    run: Run, wanted: np.ndarray, document: str, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, Any], str]]:
    """The rows at these places of the run, a second time through it, each with its document."""
    import pyarrow

    start = 0
    for batch in run.batches(list(dict.fromkeys(["id", "text", "lang", document, *columns]))):
        inside = wanted[(wanted >= start) & (wanted < start + batch.num_rows)]
        taken = batch.take(pyarrow.array(inside - start))
        yield from zip(inside.tolist(), taken.to_pylist(), document_names(taken, document).to_pylist(), strict=True)
        start += batch.num_rows


def _example(
    rows: Rows,
    place: int,
    row: Mapping[str, Any],
    document: str,
    source: str,
    explain: Callable[[str], Sequence[Label]] | None,
) -> Example:
    theme = rows.themes[rows.theme_of[place]]
    labels = explain(row["text"]) if explain is not None else ()
    evidence = next((label.evidence for label in labels if label.theme == theme), ())
    stance, voice = _named(rows.stances, rows.stance_of[place]), _named(rows.voices, rows.voice_of[place])
    return Example(
        Label(theme, stance, voice, float(rows.probability[place]), evidence),
        row["text"],
        script(row["text"]),
        str(row["id"]),
        source,
        {c.name: str(row[c.name]) for c in rows.columns if row[c.name] not in (None, "") and c.name != document},
    )


def _named(names: Sequence[str], code: int) -> str | None:
    return None if code == NONE else names[code]


def marked(text: str, evidence: Sequence[Span], longest: int | None = None) -> "Markup":
    """A text with its evidence in <mark>; what is cut off after `longest` characters is told by an ellipsis."""
    from markupsafe import Markup

    end = len(text) if longest is None or len(text) <= longest else longest
    parts, start = [], 0
    for span in evidence:
        if span.end <= end:
            parts.append(Markup("{}<mark>{}</mark>").format(text[start : span.start], text[span.start : span.end]))
            start = span.end
    return Markup("").join([*parts, Markup("{}").format(text[start:end] + ("…" if end < len(text) else ""))])
