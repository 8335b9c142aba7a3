"""Coverage: how often the intervals of shares hold the true share, over simulated corpora and samples."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.sheet import filled
from capthemes.intervals import Cell, Interval, share, within
from capthemes.sampling import EDGES, allocate

RESULTS = Path(__file__).parent / "results" / "coverage.json"
SHEET = Path(__file__).parent / "coverage.md"
PREVALENCES = (0.01, 0.02, 0.05, 0.1, 0.3)
LABELS = (100, 300, 1000, 4000)
DESIGNS = ("paragraphs", "strata", "documents")
SIZE = 20_000  # paragraphs of a corpus
RUNS = 2000
SAMPLES = 50  # drawn from one corpus before the next is made
DOCUMENT = 10  # paragraphs of one, where documents matter
ALIKE = 0.2  # correlation of the truth within a document
SUPPORTIVE = 0.3  # of a theme's paragraphs
STANCE_RIGHT = 0.75  # of predicted stances


@dataclass(frozen=True, slots=True)
class Corpus:
    """Simulated paragraphs: truth, probability, document, and whether supportive, in truth and as predicted."""

    truth: np.ndarray
    probability: np.ndarray
    document: np.ndarray
    stance: np.ndarray
    predicted_stance: np.ndarray


@dataclass(frozen=True, slots=True)
class Covered:
    """One cell of the grid: shares of runs in which each way's interval holds the true share, and mean widths.

    `by_predictions` is the share of runs in which the prediction-powered way used predictions; `stance_given` that in
    which the interval of a stance within the theme was not refused, `stance` how often it then holds the true one.
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


def corpus(prevalence: float, shifted: bool, clustered: bool, rng: np.random.Generator, size: int = SIZE) -> Corpus:
    """A corpus whose probabilities are calibrated, or were elsewhere: with the theme twice as common and clearer."""
    document = np.arange(size) // DOCUMENT if clustered else np.arange(size)
    chance = np.full(size, prevalence)
    if clustered:
        spread = 1 / ALIKE - 1
        chance = rng.beta(prevalence * spread, (1 - prevalence) * spread, size // DOCUMENT)[document]
    truth = (rng.random(size) < chance).astype(float)
    claimed = min(2 * prevalence, 0.5) if shifted else prevalence
    apart, heard = 3.0, 2.2 if shifted else 3.0  # separation that the model was calibrated for, and what there is
    signal = rng.normal(0, 1, size) + heard * truth
    log_odds = np.log(claimed / (1 - claimed)) + apart * signal - apart * apart / 2
    stance = truth * (rng.random(size) < SUPPORTIVE)
    right = rng.random(size) < STANCE_RIGHT
    return Corpus(truth, 1 / (1 + np.exp(-log_odds)), document, stance, np.where(right, stance, truth - stance))


def stratified(made: Corpus, n: int, design: str) -> tuple[np.ndarray, np.ndarray]:
    """The stratum of every paragraph, and how many labels each stratum gets."""
    if design != "strata":
        return np.zeros(len(made.truth), dtype=np.intp), np.array([n])
    strata = np.searchsorted(EDGES, made.probability, side="right")
    sizes = np.bincount(strata, minlength=len(EDGES) + 1)
    doubt = np.bincount(strata, weights=made.probability * (1 - made.probability), minlength=len(sizes))
    return strata, allocate(sizes, np.sqrt(doubt / np.maximum(sizes, 1)), n)


def sampled(strata: np.ndarray, counts: np.ndarray, design: str, rng: np.random.Generator) -> np.ndarray:
    """The rows that are labelled."""
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


def cover(design: str, shifted: bool, prevalence: float, labels: int, runs: int, seed: int = 0) -> Covered:
    """Draw `runs` samples of `labels` paragraphs and count how often each interval holds the corpus's share."""
    rng = np.random.default_rng([seed, DESIGNS.index(design), shifted, round(prevalence * 1000), labels])
    notes: list[list[float]] = []
    for number in range(runs):
        if number % SAMPLES == 0:
            made = corpus(prevalence, shifted, design == "documents", rng)
            strata, counts = stratified(made, labels, design)
            yes, document = made.probability >= 0.5, made.document
            whole = Cells.of(made.truth, made.probability, document, strata)
            told = Cells.of(made.truth, made.probability, document, 2 * strata + yes)
            stances = Cells.of(made.stance, yes * made.predicted_stance, document, strata)
            themes = Cells.of(made.truth, yes * 1.0, document, strata)
            target, target_stance = float(made.truth.mean()), float(made.stance.sum() / made.truth.sum())
        rows = sampled(strata, counts, design, rng)
        by_hand, powered = (share(whole.filled(rows), powered=way) for way in (False, True))
        adjusted = share(told.filled(rows), powered=False)
        stance = within(stances.filled(rows), themes.filled(rows), powered=True)
        notes.append(
            [
                abs(float(yes.mean()) - target) / target,
                holds(adjusted, target),
                holds(powered, target),
                powered.kind == "ppi",
                np.nan if stance is None else holds(stance, target_stance),
                *(interval.high - interval.low for interval in (by_hand, adjusted, powered)),
            ]
        )
    table = np.array(notes)
    given = ~np.isnan(table[:, 4])
    means = [round(float(value), 4) for value in np.delete(table, 4, axis=1).mean(axis=0)]
    stance_cover = round(float(table[given, 4].mean()), 4) if given.any() else None
    return Covered(
        design, shifted, prevalence, labels, runs, *means[:4], stance_cover, round(float(given.mean()), 4), *means[4:]
    )


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
    lowest = [min(one.adjusted for one in found), min(one.powered for one in found)]
    lowest.append(min(one.stance for one in found if one.stance is not None))
    error = np.mean([one.counted_error for one in found])
    yield (
        f"{found[0].runs:,} runs in each of {len(found)} cells. The lowest coverage is {lowest[0]:.3f} adjusted, "
        f"{lowest[1]:.3f} prediction-powered and {lowest[2]:.3f} for a stance within the theme. Counting alone "
        f"is off by {error:.0%} of the share on average."
    )
    yield ""
    columns = ["sample of", "text", "share", "labels", "adjusted", "powered", "by predictions"]
    columns += ["width, by hand / adjusted / powered", "stance: given", "holds"]
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for one in found:
        stance = "-" if one.stance is None else f"{one.stance:.3f}"
        yield (
            f"| {one.design} | {'shifted' if one.shifted else 'alike'} | {one.prevalence} | {one.labels:,} "
            f"| {one.adjusted:.3f} | {one.powered:.3f} | {one.by_predictions:.0%} "
            f"| {one.width_by_hand:.3f} / {one.width_adjusted:.3f} / {one.width_powered:.3f} "
            f"| {one.stance_given:.0%} | {stance} |"
        )
