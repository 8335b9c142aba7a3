"""Needs: the themes that have too few examples, and how many more their learning curves ask for."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from capthemes.metrics import average_precision
from capthemes.records import Paragraph, Probabilities, read_matrix, theme_matrix

LEAST = 8  # examples, below which no curve is drawn
FEW = 20  # examples, below which a theme without a curve has too few: the decision trusts the common threshold more
GAIN = 0.05  # of average precision: what doubling the examples must bring for them to be too few
FAR = 10  # times the examples there are: beyond, the curve says nothing


@dataclass(frozen=True, slots=True)
class Need:
    """A theme with too few examples; `more` is the learning curve's guess of how many are wanted, None without one."""

    theme: str
    examples: int
    more: int | None = None

    def __str__(self) -> str:
        few = f"{self.theme} has {self.examples} example{'' if self.examples == 1 else 's'}, too few"
        if self.more is None:
            return f"{few} to guess how many more it needs; bring {FEW} or more, and its scores mean little until then"
        amount = f"about {self.more}" if self.more < FAR * self.examples else f"{self.more} or"
        return f"{few}: its learning curve asks for {amount} more"


def needs(gold: Sequence[Paragraph], curve: Mapping[float, Probabilities], themes: Sequence[str]) -> list[Need]:
    """The themes of too few examples among paragraphs read for them, in the codebook's order.

    `curve` has probabilities of `gold` from models that were fitted on shares of the others, 1.0 among them; without
    it only counts speak. A theme has too few where doubling them is expected to raise its average precision by more
    than GAIN, by a power law of the error (the form is that of Figueroa et al. 2012, doi:10.1186/1472-6947-12-8).
    """
    truth, read = theme_matrix(gold, themes), read_matrix(gold, themes)
    found = []
    for t, name in enumerate(themes):
        rows = read[:, t]
        examples = int(truth[rows, t].sum())
        errors = {share: 1 - average_precision(truth[rows, t], p.theme[rows, t]) for share, p in curve.items()}
        if examples < LEAST or len(errors) < 2:
            found += [Need(name, examples)] if examples < FEW else []
        elif more := more_examples(examples, errors):
            found.append(Need(name, examples, more))
    return found


def more_examples(examples: int, errors: Mapping[float, float]) -> int:
    """How many more examples until doubling them gains less than GAIN, from the errors at shares of them.

    The error is fitted as a * n^-b by least squares of logarithms; 0 where it does not fall, or slowly enough. At most
    FAR times the examples; rounded up to two digits.
    """
    shares = np.array(sorted(errors))
    logs = np.log([max(errors[share], 1e-3) for share in shares.tolist()])
    slope, level = map(float, np.polyfit(np.log(shares), logs, 1))
    gain = math.exp(level) * (1 - math.pow(2, slope))  # of doubling the examples there are
    if slope >= 0 or gain <= GAIN:
        return 0
    more = examples * min(math.pow(gain / GAIN, -1 / slope) - 1, FAR)
    digits = max(math.floor(math.log10(more)) - 1, 0)
    return math.ceil(round(more / math.pow(10, digits), 6)) * int(math.pow(10, digits))
