"""Shares as counted: how many paragraphs of a run bear a label, with intervals over documents.

A counted share repeats the model's errors; its interval says only how far other documents of the same kind would
move it.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from capthemes.report.rows import Codes

FEW = 10  # documents: of fewer, an interval over documents says nothing
Z = 1.959964  # 95% of a normal distribution lie within it on either side


class Interval(Protocol):
    """A share with its 95% interval; low and high are None where there is none."""

    @property
    def share(self) -> float | None: ...

    @property
    def low(self) -> float | None: ...

    @property
    def high(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Counted:
    """`count` of `of` paragraphs; the 95% interval is None where documents are FEW."""

    count: int
    of: int
    low: float | None
    high: float | None

    @property
    def share(self) -> float:
        return self.count / self.of


def counted(having: npt.NDArray[np.bool_], documents: Codes) -> Counted:
    """The share of paragraphs (n,) that have a label.

    Wilson's interval at the effective size of the sample: what the variance between documents leaves of n
    (linearised ratio estimate), less the degrees of freedom that few documents cost (Korn and Graubard, Survey
    Methodology 1998; Wilson in place of Clopper-Pearson as in Dean and Pavlou 2015). Where no paragraph or every
    one has the label, documents count as if each were of one mind.
    """
    from scipy.stats import t

    n, count = len(having), int(having.sum())
    codes = np.unique(documents, return_inverse=True)[1]
    sizes = np.bincount(codes)
    if len(sizes) < FEW:
        return Counted(count, n, None, None)
    p = count / n
    residuals = np.bincount(codes, weights=having) - p * sizes
    variance = len(sizes) / (len(sizes) - 1) * float(residuals @ residuals) / n**2
    effective = p * (1 - p) / variance if variance > 0 and 0 < count < n else n**2 / float(sizes @ sizes)
    effective = min(effective, n) * (Z / float(t.ppf(0.975, len(sizes) - 1))) ** 2
    middle, spread = p + Z**2 / (2 * effective), Z * math.sqrt(p * (1 - p) / effective + (Z / (2 * effective)) ** 2)
    whole = 1 + Z**2 / effective
    return Counted(count, n, max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole))
