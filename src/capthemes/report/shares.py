"""Shares as counted: how many paragraphs of a run bear a label, with intervals over documents.

A counted share repeats the model's errors; its interval says only how far other documents of the same kind would
move it.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from capthemes.report.rows import Codes

FEW = 10  # documents: of fewer, an interval over documents says nothing
Z = 1.959964  # 95% of a normal distribution lie within it on either side


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of` paragraphs, with a 95% interval; low and high are nan where documents are FEW."""

    count: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.count / self.of if self.of else math.nan


def counted(having: npt.NDArray[np.bool_], documents: Codes) -> Share:
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
        return Share(count, n, math.nan, math.nan)
    p = count / n
    residuals = np.bincount(codes, weights=having) - p * sizes
    variance = len(sizes) / (len(sizes) - 1) * float(residuals @ residuals) / n**2
    effective = p * (1 - p) / variance if variance > 0 and 0 < count < n else n**2 / float(sizes @ sizes)
    effective = min(effective, n) * (Z / float(t.ppf(0.975, len(sizes) - 1))) ** 2
    middle, spread = p + Z**2 / (2 * effective), Z * math.sqrt(p * (1 - p) / effective + (Z / (2 * effective)) ** 2)
    whole = 1 + Z**2 / effective
    return Share(count, n, max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole))
