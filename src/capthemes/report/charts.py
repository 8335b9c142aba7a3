"""Charts as inline SVG: small marks that take their colours from the page and their words from the table they stand in.

All values are shares from 0 to 1. Marks in a row of a table are as wide as their cell, so nothing is scaled and no
letter shrinks on a small screen.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from capthemes.report.shares import Counted, Interval

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT, MARGIN = 240, 110, 6  # of a trend, in pixels of its own
LEFT, BASE = 30, 18  # room for its scale and its years


def top_of(values: Sequence[float]) -> float:
    """The end of a scale that holds all values: 1, 2 or 5 times a power of ten, at most 1."""
    largest = max(values, default=0.0)
    if largest <= 0:
        return 0.01
    power = 10 ** math.floor(math.log10(largest))
    return float(min(1.0, next(step * power for step in (1, 2, 3, 5, 10) if step * power >= largest - 1e-12)))


def whisker(share: Interval, top: float, estimate: Interval | None = None) -> "Markup":
    """A bar to the counted share with its interval on it, and an estimate below it where there is one."""
    from markupsafe import Markup

    marks = [_bar(share, top, 4 if estimate else 7, "counted")]
    if estimate is not None:
        marks.append(_bar(estimate, top, 16, "estimated"))
    svg = Markup('<svg class="fluid" width="100%" height="22" aria-hidden="true">{}</svg>')
    return svg.format(Markup("").join(marks))


def _bar(share: Interval, top: float, y: int, kind: str) -> "Markup":
    from markupsafe import Markup

    bar = Markup('<rect class="{}" x="0" y="{}" width="{}" height="8" />').format(
        kind, y - 3, _at(share.share or 0.0, top)
    )
    if share.low is None or share.high is None:
        return bar
    line = Markup('<line class="whisker" x1="{0}" x2="{1}" y1="{2}" y2="{2}" />')
    ends = Markup('<line class="whisker" x1="{0}" x2="{0}" y1="{1}" y2="{2}" />')
    low, high = _at(share.low, top), _at(share.high, top)
    return bar + line.format(low, high, y + 1) + ends.format(low, y - 3, y + 5) + ends.format(high, y - 3, y + 5)


def stack(parts: Sequence[tuple[str, int]]) -> "Markup":
    """A bar of the whole width, divided by the counts; each part is named for its colour, as "stance-0"."""
    from markupsafe import Markup

    total, x, marks = max(1, sum(count for _, count in parts)), 0, []
    for name, count in parts:
        if count:
            mark = Markup('<rect class="{}" x="{}" y="3" width="{}" height="16" />')
            marks.append(mark.format(name, _at(x, total), _at(count, total)))
            x += count
    svg = Markup('<svg class="fluid" width="100%" height="22" aria-hidden="true">{}</svg>')
    return svg.format(Markup("").join(marks))


def trend(periods: Sequence[str], shares: Sequence[Counted | None], top: float) -> "Markup":
    """Shares over periods: a line with the band of its intervals, broken where a period tells too little."""
    from markupsafe import Markup

    step = (WIDTH - LEFT - MARGIN) / max(1, len(periods) - 1)
    places = [LEFT + step * place if len(periods) > 1 else (WIDTH + LEFT) / 2 for place in range(len(periods))]
    marks = [_scale(periods, places, top)]
    runs: list[list[tuple[float, Counted]]] = [[]]
    for x, share in zip(places, shares, strict=True):
        if share is None:
            runs.append([])
        else:
            runs[-1].append((x, share))
    for points in filter(None, runs):
        banded = [(x, s.low, s.high) for x, s in points if s.low is not None and s.high is not None]
        edge = [(x, _up(high, top)) for x, _, high in banded] + [(x, _up(low, top)) for x, low, _ in reversed(banded)]
        marks.append(Markup('<polygon class="band" points="{}" />').format(_path(edge)))
        line = [(x, _up(s.share, top)) for x, s in points]
        marks.append(Markup('<polyline class="line" points="{}" />').format(_path(line)))
        marks += [Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="2" />').format(x, y) for x, y in line]
    svg = Markup('<svg class="trend" viewBox="0 0 {} {}" aria-hidden="true">{}</svg>')
    return svg.format(WIDTH, HEIGHT, Markup("").join(marks))


def _scale(periods: Sequence[str], places: Sequence[float], top: float) -> "Markup":
    from markupsafe import Markup

    line = Markup('<line class="grid" x1="{}" x2="{}" y1="{y:.1f}" y2="{y:.1f}" />')
    word = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    marks = []
    for value in (0.0, top / 2, top):
        y = _up(value, top)
        marks += [line.format(LEFT, WIDTH - MARGIN, y=y), word.format(LEFT - 4, y + 3, "end", percent(value))]
    ends = [(places[0], "start", periods[0]), (places[-1], "end", periods[-1])] if len(periods) > 1 else []
    if not ends:
        ends = [(places[0], "middle", periods[0])]
    return Markup("").join(marks + [word.format(x, HEIGHT - 4, anchor, name) for x, anchor, name in ends])


def percent(value: float | None) -> str:
    """A share in words: "12%", "3.4%", "0.25%"; a dash for none."""
    if value is None:
        return "–"
    digits = 0 if value == 0 or value >= 0.0995 else 1 if value >= 0.00995 else 2
    return f"{100 * value:.{digits}f}%"


def _at(value: float, top: float) -> str:
    return f"{100 * min(max(value / top, 0.0), 1.0):.2f}%"


def _up(value: float, top: float) -> float:
    return MARGIN + (HEIGHT - BASE - MARGIN) * (1 - min(value / top, 1.0))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
