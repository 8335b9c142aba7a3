"""How much: shares of themes, stances and voices in a run, with intervals where hand labels allow them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from capthemes.errors import InputError
from capthemes.intervals import ENOUGH, Cell, Interval, difference, rogan_gladen, share, within
from capthemes.records import Array, Paragraph
from capthemes.runs import Run, open_run
from capthemes.sampling import Strata
from capthemes.tally import Ints, Tally, tally

if TYPE_CHECKING:
    import pandas

WAYS = ("counted", "adjusted", "powered")
NO_SAMPLE = "no interval without a hand-labelled sample of this run (capthemes sample)"
COUNTED = "as counted: the model's errors are in it"
NO_LABELS = "no labelled paragraph in this group"


@dataclass(frozen=True, slots=True)
class Estimate:
    """One share, or one balance of stances, with its 95% interval where there is one.

    measure: "paragraphs" or "documents" (the share that has the theme), "stance" or "voice" (the share of `value`
    among the paragraphs with the theme), "balance" (supportive less critical among them). group: of the column, None
    for the whole run. way: "counted" by the model's labels, "adjusted" by its error rates, "powered" by its
    predictions and the hand labels together. kind: "wilson" where the interval is of labelled paragraphs alone, "ppi"
    where predictions had a part in it, "" where there is none; `note` then says why. labelled and positives: hand
    labels that it rests on.
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
    document: str = "document",
    rates: Mapping[str, tuple[float, float]] | None = None,
) -> Prevalence:
    """Shares of themes, stances and voices in a run, of all of it and of each group of the column `by`.

    `sample` are hand-labelled paragraphs that `capthemes sample` drew from the run, in strata or not; without it
    nothing has an interval, and "adjusted" rests on `rates`, theme -> (sensitivity, specificity) measured on other
    text. Shares of documents have intervals where the sample is of whole documents, or each paragraph is one.
    `document` is the column that says what a paragraph is from.

    Raises InputError for a column that the run lacks, a sample that is not of this run, and labels of unknown themes.
    """
    run = open_run(run) if isinstance(run, str | Path) else run
    _check(run, sample)
    named = [str(p.meta["stratum"]) for p in sample if p.meta.get("stratum")]
    counted = tally(run, by, document, sample, Strata.named(named, run.themes) if named else None)
    counting = _Counting(counted, _truth(counted, sample), rates)
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
    """A tally and the truth of its sample; estimates theme by theme."""

    tally: Tally
    truth: Array
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
                yield from self._values(found, t, column, group, {**frame, "measure": part, "value": value})
                if part == "stance":
                    stances[value] = found
        if {"supportive", "critical"} <= stances.keys():
            yield from self._balance(stances, {**frame, "measure": "balance"}, self._positives(t, group))

    def sizes(self, group: int | None) -> Ints:
        """Paragraphs by stratum."""
        return np.asarray(self.tally.sizes.sum(axis=0) if group is None else self.tally.sizes[group])

    def _sums(self, group: int | None) -> Array:
        return np.asarray(self.tally.sums.sum(axis=0) if group is None else self.tally.sums[group])

    def _rows(self, group: int | None) -> npt.NDArray[np.bool_]:
        return np.ones(len(self.truth), dtype=np.bool_) if group is None else self.tally.group == group

    def _positives(self, t: int, group: int | None) -> int:
        return int(self.truth[self._rows(group), self.tally.layout.column(t, "given")].sum())

    def _cells(self, group: int | None, column: int, true: int, given: int | None = None) -> list[Cell]:
        """A cell for each stratum; with `given`, a theme's column, one for the paragraphs given it and one for others.

        `column` has the predictions, `true` is the column of the truth.
        """
        rows, sizes, sums, numbers = self._rows(group), self.sizes(group), self._sums(group), self.tally.numbers
        cells = []
        for h in np.flatnonzero(sizes):
            inside, parts = rows & (self.tally.stratum == h), [(rows, sizes[h], sums[h, column])]
            if given is not None:
                yes, total = numbers[:, given] > 0, sums[h, given]
                of_given = sums[h, given + len(self.tally.layout.themes) if column < given else column]
                parts = [(yes, total, of_given), (~yes, sizes[h] - total, sums[h, column] - of_given)]
            for side, size, summed in parts:
                own = inside & side
                if size > 0:
                    truth, predicted, documents = self.truth[own, true], numbers[own, column], self.tally.document[own]
                    cells.append(Cell(int(size), truth, predicted, float(summed / size), documents))
        return cells

    def _paragraphs(self, t: int, group: int | None, frame: dict[str, Any]) -> Iterator[Estimate]:
        layout = self.tally.layout
        probability, given = layout.column(t, "probability"), layout.column(t, "given")
        counted = float(self._sums(group)[:, given].sum() / self.sizes(group).sum())
        labelled, positives = int(self._rows(group).sum()), self._positives(t, group)
        yield Estimate(**frame, way="counted", share=counted, note=COUNTED)
        if not labelled:
            yield self._by_rates(counted, frame)
            yield Estimate(**frame, way="powered", share=None, note=NO_LABELS if len(self.truth) else NO_SAMPLE)
            return
        adjusted = share(self._cells(group, probability, given, given), powered=False)
        yield _estimated(adjusted, "adjusted", frame, labelled, positives)
        powered = share(self._cells(group, probability, given), powered=True)
        yield _estimated(powered, "powered", frame, labelled, positives)

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
        read, place = np.unique(self.tally.document, return_inverse=True)
        whole = len(read) and (np.bincount(place) == documents.size[read]).all() and self.tally.sizes.shape[1] == 1
        chosen = inside[read]
        if not whole or not chosen.any():
            note = (
                NO_LABELS
                if whole
                else "no interval without hand labels of whole documents (capthemes sample --documents)"
            )
            yield Estimate(**frame, way="powered", share=None, note=note)
            return
        truth = np.bincount(place, weights=self.truth[:, self.tally.layout.column(t, "given")])[chosen] > 0
        p, own = documents.probability[:, t], read[chosen]
        cell = Cell(int(inside.sum()), truth.astype(np.float64), p[own], float(p[inside].mean()), own)
        yield _estimated(share([cell], powered=True), "powered", frame, len(own), int(truth.sum()))

    def _within(self, t: int, column: int, siblings: Sequence[int], group: int | None) -> dict[str, Interval | None]:
        """The share of a stance or voice within a theme by each way, as far as there is an interval, or a count."""
        given, sums = self.tally.layout.column(t, "given"), self._sums(group)
        told = float(sums[:, siblings].sum())
        counted = float(sums[:, column].sum()) / told if told else None
        found: dict[str, Interval | None] = dict.fromkeys(WAYS)
        if counted is not None:
            found["counted"] = Interval(counted, counted, counted, "")
        if self._positives(t, group):
            for way, split in (("adjusted", given), ("powered", None)):
                parts, wholes = (self._cells(group, c, c, split) for c in (column, given))
                found[way] = within(parts, wholes, powered=way == "powered")
        return found

    def _values(
        self, found: Mapping[str, Interval | None], t: int, column: int, group: int | None, frame: dict[str, Any]
    ) -> Iterator[Estimate]:
        rows = self._rows(group)
        labelled, positives = self._positives(t, group), int(self.truth[rows, column].sum())
        counted = found["counted"]
        note = COUNTED if counted else f"the model gave the theme with no {frame['measure']}"
        yield Estimate(**frame, way="counted", share=counted.share if counted else None, note=note)
        for way in WAYS[1:]:
            if (interval := found[way]) is not None:
                yield _estimated(interval, way, frame, labelled, positives)
                continue
            note = _more(min(positives, labelled - positives), int(rows.sum())) if rows.any() else NO_LABELS
            note = note if len(self.truth) else NO_SAMPLE
            yield Estimate(**frame, way=way, share=None, labelled=labelled, positives=positives, note=note)

    def _balance(
        self, shares: Mapping[str, Mapping[str, Interval | None]], frame: dict[str, Any], labelled: int
    ) -> Iterator[Estimate]:
        for way in WAYS:
            one, other = (shares[stance][way] for stance in ("supportive", "critical"))
            if one is None or other is None:
                note = "needs intervals of both stances" if len(self.truth) else NO_SAMPLE
                yield Estimate(**frame, way=way, share=None, labelled=labelled, note=note)
            elif way == "counted":
                yield Estimate(**frame, way=way, share=one.share - other.share, note=COUNTED)
            else:
                yield _estimated(difference(one, other), way, frame, labelled, labelled)


def _estimated(found: Interval, way: str, frame: dict[str, Any], labelled: int, positives: int) -> Estimate:
    note = ""
    if way == "powered" and found.kind == "wilson" and frame["measure"] != "balance":
        note = f"of hand labels alone: {_more(min(positives, labelled - positives), labelled)}"
    numbers: dict[str, Any] = {"share": found.share, "low": found.low, "high": found.high, "kind": found.kind}
    return Estimate(**frame, **numbers, way=way, labelled=labelled, positives=positives, note=note)


def _more(positives: int, labelled: int) -> str:
    """How many more labels make ENOUGH of the rarer kind, at the rate so far."""
    wanted = f"{positives} of {ENOUGH} positives (or negatives)"
    if not positives or positives >= ENOUGH:
        return f"{wanted}; more labels are needed"
    return f"{wanted}; about {round(labelled * (ENOUGH / positives - 1)):,} more labels are needed"
