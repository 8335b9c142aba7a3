"""How much: shares of themes, stances and voices in a run, with intervals where hand labels allow them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from capthemes.errors import InputError
from capthemes.intervals import ENOUGH, Cell, Interval, correlation, difference, rogan_gladen, share, within
from capthemes.records import Array, Paragraph, read_matrix
from capthemes.runs import Run, open_run
from capthemes.sampling import Strata, document_column
from capthemes.tally import Ints, Tally, tally

if TYPE_CHECKING:
    import pandas

WAYS = ("counted", "adjusted", "powered")
NO_SAMPLE = "no interval without a hand-labelled sample of this run (capthemes sample)"
COUNTED = "as counted: the model's errors are in it"
NO_LABELS = "no labelled paragraph in this group"
NOT_READ = "no paragraph of the sample was read for this theme"


@dataclass(frozen=True, slots=True)
class Estimate:
    """One share, or one balance of stances, with its 95% interval where there is one.

    measure: "paragraphs" or "documents" (the share that has the theme), "stance" or "voice" (the share of `value`
    among the paragraphs with the theme), "balance" (supportive less critical among them). group: of the column, None
    for the whole run. way: "counted" by the model's labels, "adjusted" by its error rates, "powered" by its
    predictions and the hand labels together. kind: "ppi" where predictions had a part in the interval, else "wilson",
    of labelled paragraphs (where it is adjusted, of those that the model gave the theme and of others), "" where there
    is none; `note` then says why. labelled and positives: hand labels that it rests on; of a stance or voice, those of
    the theme that tell one. needed: about how many more labels of the sample's kind would let predictions have a part;
    None where they have, of a balance, or where that cannot be told.
    """

    measure: str
    theme: str
    value: str
    group: str | None
    way: str
    share: float | None
    low: float | None = None
    high: float | None = None
    kind: str = ""
    labelled: int = 0
    positives: int = 0
    note: str = ""
    needed: int | None = None


@dataclass(frozen=True, slots=True)
class Prevalence:
    """All estimates of a run; `paragraphs` of the run by group, `labelled` in the sample."""

    model: str
    by: str | None
    paragraphs: dict[str | None, int]
    labelled: int
    estimates: tuple[Estimate, ...]

    def of(self, theme: str, measure: str = "paragraphs", value: str = "", group: str | None = None) -> list[Estimate]:
        """The ways of one share, as far as there are any: counted, adjusted, powered."""
        wanted = (theme, measure, value, group)
        return [e for e in self.estimates if (e.theme, e.measure, e.value, e.group) == wanted]

    def best(self, theme: str, measure: str = "paragraphs", value: str = "", group: str | None = None) -> Estimate:
        """What to publish of one share: powered where predictions help, else what hand labels say, else the count.

        Raises KeyError for a share that there is not.
        """
        found = {e.way: e for e in self.of(theme, measure, value, group)}
        powered, adjusted = found.get("powered"), found.get("adjusted")
        if powered is not None and powered.kind == "ppi":
            return powered
        others = (adjusted, powered) if measure == "paragraphs" else (powered, adjusted)
        return next((e for e in others if e is not None and e.low is not None), found["counted"])

    def to_frame(self) -> "pandas.DataFrame":
        """A row for each estimate."""
        import pandas

        return pandas.DataFrame([asdict(estimate) for estimate in self.estimates])


def estimate(
    run: Run | str | Path,
    *,
    by: str | None = None,
    sample: Sequence[Paragraph] = (),
    document: str | None = None,
    rates: Mapping[str, tuple[float, float]] | None = None,
) -> Prevalence:
    """Shares of themes, stances and voices in a run, of all of it and of each group of the column `by`.

    `sample` are hand-labelled paragraphs that `capthemes sample` drew from the run, in strata or not; without it
    nothing has an interval, and "adjusted" rests on `rates`, theme -> (sensitivity, specificity) measured on other
    text. A paragraph counts for the themes that it was read for, all but where its `meta` names some under "read", and
    for stances and voices where its label tells them. Shares of documents have intervals where the sample is of whole
    documents, or each paragraph is one. `document` is the column that says what a paragraph is from; left out,
    it is the one that the sample was drawn by, else "document".

    Raises InputError for a column that the run lacks, for one that takes apart what was drawn together, a sample that
    is not of this run, and labels of unknown themes.
    """
    run = open_run(run) if isinstance(run, str | Path) else run
    _check(run, sample)
    named = [str(p.meta["stratum"]) for p in sample if p.meta.get("stratum")]
    source = document_column(sample, document) or "document"
    counted = tally(run, by, source, sample, Strata.named(named, run.themes) if named else None)
    counting = _Counting(counted, _truth(counted, sample), read_matrix(sample, run.themes), rates)
    groups: list[int | None] = [None, *(np.argsort(counted.groups).tolist() if by is not None else [])]
    names = {g: None if g is None else counted.groups[g] for g in groups}
    sizes = {names[g]: int(counting.sizes(g).sum()) for g in groups}
    found = [e for g in groups for t in range(len(run.themes)) for e in counting.theme(t, g, names[g])]
    return Prevalence(run.model, by, sizes, len(sample), tuple(found))


def _check(run: Run, sample: Sequence[Paragraph]) -> None:
    ids = [p.id for p in sample]
    if len(set(ids)) < len(ids):
        raise InputError(f"paragraph {max(ids, key=ids.count)!r} is in the sample twice; keep one")
    if 0 < sum(1 for p in sample if p.meta.get("stratum")) < len(sample):
        raise InputError("some paragraphs of the sample have a stratum and some have none; draw one sample, one way")
    if len(ways := {str(p.meta.get("drawn_by")) for p in sample}) > 1:
        raise InputError(f"the sample was drawn in several ways ({', '.join(sorted(ways))}); draw one sample, one way")
    for paragraph in sample:
        if paragraph.labels is None:
            raise InputError(f"paragraph {paragraph.id!r} of the sample is not labelled; leave it out or label it")
        if unknown := [label.theme for label in paragraph.labels if label.theme not in run.themes]:
            raise InputError(f"paragraph {paragraph.id!r} has theme {unknown[0]!r}, which the run does not have")


def _truth(counted: Tally, sample: Sequence[Paragraph]) -> Array:
    """The hand labels of the sample, laid out as the run's numbers."""
    layout = counted.layout
    truth = np.zeros((len(sample), layout.width))
    for row, paragraph in enumerate(sample):
        for label in paragraph.labels or ():
            theme = layout.themes.index(label.theme)
            for part in ("probability", "given", "probability if given"):
                truth[row, layout.column(theme, part)] = 1
            for part, value, names in (("stance", label.stance, layout.stances), ("voice", label.voice, layout.voices)):
                if value in names:
                    truth[row, layout.column(theme, part, names.index(value))] = 1
    return truth


@dataclass(frozen=True, slots=True, eq=False)
class _Counting:
    """A tally, the truth of its sample and the themes it was read for, (n, T); estimates theme by theme."""

    tally: Tally
    truth: Array
    read: npt.NDArray[np.bool_]
    rates: Mapping[str, tuple[float, float]] | None

    def theme(self, t: int, group: int | None, name: str | None) -> Iterator[Estimate]:
        """All estimates of one theme in one group."""
        layout = self.tally.layout
        frame: dict[str, Any] = {"theme": layout.themes[t], "group": name, "value": ""}
        paragraphs = list(self._paragraphs(t, group, {**frame, "measure": "paragraphs"}))
        yield from paragraphs
        if (self.tally.documents.size == 1).all():
            yield from (replace(estimate, measure="documents") for estimate in paragraphs)
        else:
            yield from self._documents(t, group, {**frame, "measure": "documents"})
        stances: dict[str, dict[str, Interval | None]] = {}
        for part, values in (("stance", layout.stances), ("voice", layout.voices)):
            columns = [layout.column(t, part, number) for number in range(len(values))]
            for value, column in zip(values, columns, strict=True):
                found = self._within(t, column, columns, group)
                yield from self._values(found, t, column, columns, group, {**frame, "measure": part, "value": value})
                if part == "stance":
                    stances[value] = found
        if {"supportive", "critical"} <= stances.keys():
            yield from self._balance(stances, t, group, {**frame, "measure": "balance"})

    def sizes(self, group: int | None) -> Ints:
        """Paragraphs by stratum."""
        return np.asarray(self.tally.sizes.sum(axis=0) if group is None else self.tally.sizes[group])

    def _sums(self, group: int | None) -> Array:
        return np.asarray(self.tally.sums.sum(axis=0) if group is None else self.tally.sums[group])

    def _rows(self, t: int, group: int | None) -> npt.NDArray[np.bool_]:
        """The paragraphs of the sample that were read for the theme."""
        return np.asarray(self.read[:, t] if group is None else self.read[:, t] & (self.tally.group == group))

    def _hits(self, t: int, group: int | None, columns: Sequence[int]) -> int:
        """How many paragraphs of the sample have a 1 in any of these columns."""
        return int(self.truth[self._rows(t, group)][:, columns].any(axis=1).sum())

    def _lacking(self, t: int) -> str:
        """Why no paragraph of the sample speaks for a theme in a group."""
        return NO_SAMPLE if not len(self.truth) else NO_LABELS if self.read[:, t].any() else NOT_READ

    def _cells(
        self, t: int, group: int | None, columns: Sequence[int], true: Sequence[int], given: int | None = None
    ) -> list[Cell]:
        """A cell for each stratum; with `given`, a theme's column, one for the paragraphs given it and one for others.

        `columns` add up to the predictions, `true` are those of the truth.
        """
        rows, sizes, sums, numbers = self._rows(t, group), self.sizes(group), self._sums(group), self.tally.numbers
        predictions, cells = numbers[:, columns].sum(axis=1), []
        for h in np.flatnonzero(sizes):
            everything = sums[h, columns].sum()
            inside, parts = rows & (self.tally.stratum == h), [(rows, sizes[h], everything)]
            if given is not None:
                yes, total = numbers[:, given] > 0, sums[h, given]
                of_given = [self.tally.layout.column(t, "probability if given")] if min(columns) < given else columns
                summed = sums[h, of_given].sum()
                parts = [(yes, total, summed), (~yes, sizes[h] - total, everything - summed)]
            for side, size, summed in parts:
                own = inside & side
                if size > 0:
                    truth, documents = self.truth[own][:, true].sum(axis=1), self.tally.document[own]
                    cells.append(Cell(int(size), truth, predictions[own], float(summed / size), documents))
        return cells

    def _paragraphs(self, t: int, group: int | None, frame: dict[str, Any]) -> Iterator[Estimate]:
        layout = self.tally.layout
        probability, given = layout.column(t, "probability"), layout.column(t, "given")
        counted = float(self._sums(group)[:, given].sum() / self.sizes(group).sum())
        labelled, positives = int(self._rows(t, group).sum()), self._hits(t, group, [given])
        yield Estimate(**frame, way="counted", share=counted, note=COUNTED)
        if not labelled:
            yield self._by_rates(counted, frame)
            yield Estimate(**frame, way="powered", share=None, note=self._lacking(t))
            return
        adjusted = share(self._cells(t, group, [probability], [given], given), powered=False)
        yield _estimated(adjusted, "adjusted", frame, labelled, positives, labelled)
        powered = share(self._cells(t, group, [probability], [given]), powered=True)
        yield _estimated(powered, "powered", frame, labelled, positives, labelled)

    def _by_rates(self, counted: float, frame: dict[str, Any]) -> Estimate:
        """Without labels of this corpus: what error rates measured elsewhere make of the count, without an interval."""
        if self.rates is None:
            return Estimate(**frame, way="adjusted", share=None, note="the model's error rates are not known")
        value = rogan_gladen(counted, *self.rates[frame["theme"]])
        note = "by error rates on the model's held-out text; on other text they differ, so there is no interval"
        return Estimate(**frame, way="adjusted", share=value, note=note)

    def _documents(self, t: int, group: int | None, frame: dict[str, Any]) -> Iterator[Estimate]:
        documents = self.tally.documents
        inside = np.ones(len(documents.size), dtype=np.bool_) if group is None else documents.group == group
        if not inside.any():
            return
        yield Estimate(**frame, way="counted", share=float(documents.given[inside, t].mean()), note=COUNTED)
        rows = self._rows(t, None)
        read, place = np.unique(self.tally.document[rows], return_inverse=True)
        whole = len(read) and (np.bincount(place) == documents.size[read]).all() and self.tally.sizes.shape[1] == 1
        chosen = inside[read]
        if not whole or not chosen.any():
            unlike = "no interval without hand labels of whole documents (capthemes sample --documents)"
            note = self._lacking(t) if whole or not len(read) else unlike
            yield Estimate(**frame, way="powered", share=None, note=note)
            return
        truth = np.bincount(place, weights=self.truth[rows, self.tally.layout.column(t, "given")])[chosen] > 0
        p, own = documents.probability[:, t], read[chosen]
        cell = Cell(int(inside.sum()), truth.astype(np.float64), p[own], float(p[inside].mean()), own)
        of = int(documents.size[own].sum())
        yield _estimated(share([cell], powered=True), "powered", frame, len(own), int(truth.sum()), of)

    def _within(self, t: int, column: int, siblings: Sequence[int], group: int | None) -> dict[str, Interval | None]:
        """The share of a stance or voice within a theme by each way, as far as there is an interval, or a count.

        It is of the paragraphs whose stance or voice is told: of the others it is unknown, not another.
        """
        given, sums = self.tally.layout.column(t, "given"), self._sums(group)
        told = float(sums[:, siblings].sum())
        counted = float(sums[:, column].sum()) / told if told else None
        found: dict[str, Interval | None] = dict.fromkeys(WAYS)
        if counted is not None:
            found["counted"] = Interval(counted, counted, counted, "")
        if self._hits(t, group, siblings):
            for way, split in (("adjusted", given), ("powered", None)):
                parts, wholes = (self._cells(t, group, c, c, split) for c in ([column], siblings))
                found[way] = within(parts, wholes, powered=way == "powered")
        return found

    def _values(
        self,
        found: Mapping[str, Interval | None],
        t: int,
        column: int,
        siblings: Sequence[int],
        group: int | None,
        frame: dict[str, Any],
    ) -> Iterator[Estimate]:
        of = int(self._rows(t, group).sum())
        labelled, positives = self._hits(t, group, siblings), self._hits(t, group, [column])
        counted = found["counted"]
        note = COUNTED if counted else f"the model gave the theme with no {frame['measure']}"
        yield Estimate(**frame, way="counted", share=counted.share if counted else None, note=note)
        untold = labelled == 0 < self._hits(t, group, [self.tally.layout.column(t, "given")])
        note = f"no hand label of this theme tells a {frame['measure']}" if untold else _more(0, 0, 0)
        for way in WAYS[1:]:
            if (interval := found[way]) is not None:
                yield _estimated(interval, way, frame, labelled, positives, of)
                continue
            yield Estimate(**frame, way=way, share=None, labelled=labelled, note=note if of else self._lacking(t))

    def _balance(
        self, shares: Mapping[str, Mapping[str, Interval | None]], t: int, group: int | None, frame: dict[str, Any]
    ) -> Iterator[Estimate]:
        layout = self.tally.layout
        columns = {value: layout.column(t, "stance", number) for number, value in enumerate(layout.stances)}
        siblings = list(columns.values())
        pair, labelled = ("supportive", "critical"), self._hits(t, group, siblings)
        for way in WAYS:
            one, other = (shares[stance][way] for stance in pair)
            if one is None or other is None:
                note = "needs intervals of both stances" if len(self.truth) else NO_SAMPLE
                yield Estimate(**frame, way=way, share=None, labelled=labelled, note=note)
            elif way == "counted":
                yield Estimate(**frame, way=way, share=one.share - other.share, note=COUNTED)
            else:
                given = layout.column(t, "given") if way == "adjusted" else None
                chosen = (*([columns[stance]] for stance in pair), siblings)
                parts, others, wholes = (self._cells(t, group, c, c, given) for c in chosen)
                found = difference(one, other, correlation(parts, others, wholes, powered=way == "powered"))
                yield _estimated(found, way, frame, labelled, labelled, labelled)


def _estimated(found: Interval, way: str, frame: dict[str, Any], labelled: int, positives: int, of: int) -> Estimate:
    """An estimate with its interval; `of` are the sample's paragraphs of which `labelled` are what it is a share of."""
    numbers: dict[str, Any] = {"share": found.share, "low": found.low, "high": found.high, "kind": found.kind}
    if way == "powered" and found.kind == "wilson" and frame["measure"] != "balance":
        needed = round(of * (ENOUGH / found.rarer - 1)) if 0 < found.rarer < ENOUGH else None
        note = _more(min(positives, labelled - positives), found.rarer, needed)
        numbers |= {"note": f"of hand labels alone: {note}", "needed": needed}
    return Estimate(**frame, **numbers, way=way, labelled=labelled, positives=positives)


def _more(hits: int, rarer: float, needed: int | None) -> str:
    """Which count falls short of ENOUGH, and how many more labels mend that at the rate so far."""
    wanted = f"{hits} of {ENOUGH} positives (or negatives)"
    if rarer < hits:
        spread = "as they are spread over strata or documents"
        wanted = f"{hits} positives (or negatives) count as {rarer:.0f} of {ENOUGH}, {spread}"
    if needed is None:
        return f"{wanted}; more labels are needed, how many cannot be told yet"
    return f"{wanted}; about {needed:,} more labels are needed"
