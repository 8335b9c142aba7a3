"""Coverage: how often the intervals of shares hold the true share, over simulated corpora and samples."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.sheet import filled
from capthemes.intervals import Cell, Interval, correlation, difference, share, within
from capthemes.sampling import EDGES, allocate

RESULTS = Path(__file__).parent / "results" / "coverage.json"
SHEET = Path(__file__).parent / "coverage.md"
PREVALENCES = (0.01, 0.02, 0.05, 0.1, 0.3)
LABELS = (100, 300, 1000, 4000)
DESIGNS = ("paragraphs", "strata", "documents", "unequal documents")
CLUSTERED = DESIGNS[2:]
SIZE = 20_000  # paragraphs of a corpus
RUNS = 2000
SAMPLES = 50  # drawn from one corpus before the next is made
DOCUMENT = 10  # paragraphs of one, where documents matter; of unequal ones on average
ALIKE = 0.2  # correlation of the truth within a document
SUPPORTIVE = 0.3  # of a theme's paragraphs
CRITICAL = 0.2  # of them; the others take neither side
STANCE_RIGHT = 0.75  # of predicted stances; of the wrong ones supportive is read as critical, all else as supportive


@dataclass(frozen=True, slots=True)
class Corpus:
    """Simulated paragraphs: truth, probability, document, and whether supportive or critical, in truth and as
    predicted."""

    truth: np.ndarray
    probability: np.ndarray
    document: np.ndarray
    stance: np.ndarray
    predicted_stance: np.ndarray
    critical: np.ndarray
    predicted_critical: np.ndarray


@dataclass(frozen=True, slots=True)
class Covered:
    """One cell of the grid: shares of runs in which each way's interval holds the true share, and mean widths.

    `by_predictions` is the share of runs in which the prediction-powered way used predictions; `stance_given` that in
    which the interval of a stance within the theme was not refused, `stance` how often it then holds the true one;
    `balance` likewise of supportive less critical. `documents` is of the share of documents that have the theme, where
    whole documents are drawn.
    """

    design: str
    shifted: bool
    prevalence: float
    labels: int
    runs: int
    counted_error: float
    adjusted: float
    powered: float
    by_predictions: float
    stance: float | None
    stance_given: float
    width_by_hand: float
    width_adjusted: float
    width_powered: float
    balance: float | None
    balance_given: float
    documents: float | None


def corpus(prevalence: float, shifted: bool, design: str, rng: np.random.Generator, size: int = SIZE) -> Corpus:
    """A corpus whose probabilities are calibrated, or were elsewhere: with the theme twice as common and clearer."""
    document = _documents(design, rng, size)
    chance = np.full(size, prevalence)
    if design in CLUSTERED:
        spread = 1 / ALIKE - 1
        chance = rng.beta(prevalence * spread, (1 - prevalence) * spread, document[-1] + 1)[document]
    truth = (rng.random(size) < chance).astype(float)
    claimed = min(2 * prevalence, 0.5) if shifted else prevalence
    apart, heard = 3.0, 2.2 if shifted else 3.0  # separation that the model was calibrated for, and what there is
    signal = rng.normal(0, 1, size) + heard * truth
    log_odds = np.log(claimed / (1 - claimed)) + apart * signal - apart * apart / 2
    stance = truth * (rng.random(size) < SUPPORTIVE)
    right = rng.random(size) < STANCE_RIGHT
    critical = (truth - stance) * (rng.random(size) < CRITICAL / (1 - SUPPORTIVE))
    return Corpus(
        truth,
        1 / (1 + np.exp(-log_odds)),
        document,
        stance,
        np.where(right, stance, truth - stance),
        critical,
        np.where(right, critical, stance),
    )


def _documents(design: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """The document of each paragraph, from 0, in order; a paragraph of its own where documents do not matter."""
    if design == "unequal documents":
        return np.repeat(np.arange(size), rng.geometric(1 / DOCUMENT, size))[:size]
    return np.arange(size) // (DOCUMENT if design in CLUSTERED else 1)


def stratified(made: Corpus, n: int, design: str) -> tuple[np.ndarray, np.ndarray]:
    """The stratum of every paragraph, and how many labels each stratum gets."""
    if design != "strata":
        return np.zeros(len(made.truth), dtype=np.intp), np.array([n])
    strata = np.searchsorted(EDGES, made.probability, side="right")
    sizes = np.bincount(strata, minlength=len(EDGES) + 1)
    doubt = np.bincount(strata, weights=made.probability * (1 - made.probability), minlength=len(sizes))
    return strata, allocate(sizes, np.sqrt(doubt / np.maximum(sizes, 1)), n)


def sampled(
    strata: np.ndarray, counts: np.ndarray, design: str, document: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The rows that are labelled; of unequal documents as many as make up the labels."""
    if design == "unequal documents":
        sizes = np.bincount(document)
        order = rng.permutation(len(sizes))
        drawn = order[: int(np.searchsorted(np.cumsum(sizes[order]), counts[0])) + 1]
        return np.flatnonzero(np.isin(document, drawn))
    if design == "documents":
        drawn = rng.choice(len(strata) // DOCUMENT, counts[0] // DOCUMENT, replace=False, shuffle=False)
        return (drawn[:, None] * DOCUMENT + np.arange(DOCUMENT)).ravel()
    members = [np.flatnonzero(strata == h) for h in range(len(counts))]
    return np.concatenate(
        [
            own[rng.choice(len(own), count, replace=False, shuffle=False)]
            for own, count in zip(members, counts, strict=True)
        ]
    )


@dataclass(frozen=True, slots=True)
class Cells:
    """A corpus cut by a code into cells, to be filled with one sample after another."""

    truth: np.ndarray
    predicted: np.ndarray
    document: np.ndarray
    code: np.ndarray
    sizes: np.ndarray
    sums: np.ndarray

    @classmethod
    def of(cls, truth: np.ndarray, predicted: np.ndarray, document: np.ndarray, code: np.ndarray) -> "Cells":
        return cls(truth, predicted, document, code, np.bincount(code), np.bincount(code, weights=predicted))

    def filled(self, rows: np.ndarray) -> list[Cell]:
        """The cells with the labels of these rows."""
        found, code = [], self.code[rows]
        for cell in np.flatnonzero(self.sizes):
            own, size = rows[code == cell], int(self.sizes[cell])
            mean = float(self.sums[cell] / size)
            found.append(Cell(size, self.truth[own], self.predicted[own], mean, self.document[own]))
        return found


@dataclass(frozen=True, slots=True)
class Laid:
    """A corpus cut into the cells of every share that is estimated, with the true ones."""

    whole: Cells
    told: Cells
    themes: Cells
    stances: Cells
    critical: Cells
    documents: Cells
    counted: float

    @classmethod
    def of(cls, made: Corpus, strata: np.ndarray) -> "Laid":
        yes = made.probability >= 0.5
        given = (
            (made.truth, yes * 1.0),
            (made.stance, yes * made.predicted_stance),
            (made.critical, yes * made.predicted_critical),
        )
        truth, highest = np.zeros((2, made.document[-1] + 1))
        np.maximum.at(truth, made.document, made.truth)
        np.maximum.at(highest, made.document, made.probability)
        every = np.arange(len(truth))
        return cls(
            Cells.of(made.truth, made.probability, made.document, strata),
            Cells.of(made.truth, made.probability, made.document, 2 * strata + yes),
            *(Cells.of(*pair, made.document, strata) for pair in given),
            Cells.of(truth, highest, every, 0 * every),
            float(yes.mean()),
        )

    def noted(self, rows: np.ndarray, clustered: bool) -> dict[str, float]:
        """What the labels of these rows make of each share; nan where there is no interval."""
        target = float(self.whole.truth.mean())
        by_hand, powered = (share(self.whole.filled(rows), powered=way) for way in (False, True))
        adjusted = share(self.told.filled(rows), powered=False)
        themes = self.themes.filled(rows)
        stances, critical = (cells.filled(rows) for cells in (self.stances, self.critical))
        one, other = (within(parts, themes, powered=True) for parts in (stances, critical))
        of, total = (cells.truth.sum() for cells in (self.stances, self.themes))
        apart = one is None or other is None
        balance = None if apart else difference(one, other, correlation(stances, critical, themes, powered=True))
        return {
            "counted_error": abs(self.counted - target) / target,
            "adjusted": holds(adjusted, target),
            "powered": holds(powered, target),
            "by_predictions": powered.kind == "ppi",
            "stance": np.nan if one is None else holds(one, of / total),
            "width_by_hand": by_hand.high - by_hand.low,
            "width_adjusted": adjusted.high - adjusted.low,
            "width_powered": powered.high - powered.low,
            "balance": np.nan if balance is None else holds(balance, (of - self.critical.truth.sum()) / total),
            "documents": self._documents(np.unique(self.whole.document[rows])) if clustered else np.nan,
        }

    def _documents(self, drawn: np.ndarray) -> bool:
        """Whether the interval of the share of documents holds it."""
        return holds(share(self.documents.filled(drawn), powered=True), float(self.documents.truth.mean()))


def cover(design: str, shifted: bool, prevalence: float, labels: int, runs: int, seed: int = 0) -> Covered:
    """Draw `runs` samples of `labels` paragraphs and count how often each interval holds the corpus's share."""
    rng = np.random.default_rng([seed, DESIGNS.index(design), shifted, round(prevalence * 1000), labels])
    notes: list[dict[str, float]] = []
    for number in range(runs):
        if number % SAMPLES == 0:
            made = corpus(prevalence, shifted, design, rng)
            strata, counts = stratified(made, labels, design)
            laid = Laid.of(made, strata)
        notes.append(laid.noted(sampled(strata, counts, design, made.document, rng), design in CLUSTERED))
    table = {name: np.array([note[name] for note in notes], dtype=float) for name in notes[0]}
    given = {f"{name}_given": round(float((~np.isnan(table[name])).mean()), 4) for name in ("stance", "balance")}
    means = {
        name: None if np.isnan(values).all() else round(float(np.nanmean(values)), 4) for name, values in table.items()
    }
    return Covered(design, shifted, prevalence, labels, runs, **means, **given)


def holds(interval: Interval, target: float) -> bool:
    return interval.low - 1e-12 <= target <= interval.high + 1e-12


def run(runs: int) -> None:
    """Measure the whole grid and write the table."""
    from joblib import Parallel, delayed

    grid = list(product(DESIGNS, (False, True), PREVALENCES, LABELS))
    found = Parallel(n_jobs=-1)(delayed(cover)(*place, runs) for place in grid)
    RESULTS.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n", encoding="utf-8")
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8")), encoding="utf-8")


def rendered(sheet: str) -> str:
    """The sheet with the tables of what was measured last."""
    found = [Covered(**row) for row in json.loads(RESULTS.read_text(encoding="utf-8"))]
    return filled(sheet, {"coverage": list(_lines(found))})


def _lines(found: list[Covered]) -> Iterator[str]:
    lowest = {"adjusted": "adjusted", "powered": "prediction-powered", "stance": "for a stance within the theme"}
    lowest |= {"balance": "for supportive less critical", "documents": "for the share of documents with the theme"}
    told = [f"{_lowest(found, name):.3f} {of}" for name, of in lowest.items()]
    yield (
        f"{found[0].runs:,} runs in each of {len(found)} cells. The lowest coverage is {', '.join(told[:-1])} and "
        f"{told[-1]}. Counting alone is off by {np.mean([one.counted_error for one in found]):.0%} of the share on "
        "average."
    )
    yield (
        f"Unequal documents have {DOCUMENT} paragraphs on average, spread geometrically; shares of documents have "
        "intervals where whole documents are drawn."
    )
    yield ""
    columns = ["sample of", "text", "share", "labels", "adjusted", "powered", "by predictions"]
    columns += ["width, by hand / adjusted / powered", "stance: given", "holds", "balance: given", "holds", "documents"]
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for one in found:
        yield (
            f"| {one.design} | {'shifted' if one.shifted else 'alike'} | {one.prevalence} | {one.labels:,} "
            f"| {one.adjusted:.3f} | {one.powered:.3f} | {one.by_predictions:.0%} "
            f"| {one.width_by_hand:.3f} / {one.width_adjusted:.3f} / {one.width_powered:.3f} "
            f"| {one.stance_given:.0%} | {_held(one.stance)} | {one.balance_given:.0%} | {_held(one.balance)} "
            f"| {_held(one.documents)} |"
        )


def _lowest(found: list[Covered], name: str) -> float:
    return min(value for one in found if (value := getattr(one, name)) is not None)


def _held(coverage: float | None) -> str:
    return "-" if coverage is None else f"{coverage:.3f}"
