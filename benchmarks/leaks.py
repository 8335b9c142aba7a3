"""Leaks: paragraphs that share runs of words or characters with others of the set or with published text."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from capthemes.records import Paragraph
from capthemes.text import HAN, normalise, script

WORDS, CHARACTERS = 8, 12
NEAR = 0.3  # of the shorter paragraph's shingles: a near-duplicate


def shingles(text: str) -> set[str]:
    """Runs of 8 words, or of 12 ideographs in Chinese."""
    plain = normalise(text)
    if script(text) == "zh":
        han = re.sub(f"[^{HAN}]", "", plain)
        return {han[i : i + CHARACTERS] for i in range(len(han) - CHARACTERS + 1)}
    words = re.findall(r"[a-z0-9]+", plain)
    return {" ".join(words[i : i + WORDS]) for i in range(len(words) - WORDS + 1)}


def pairs(ones: Sequence[Paragraph], others: Sequence[Paragraph] | None = None) -> list[tuple[str, str, float]]:
    """(id, id, share of the smaller set of shingles) of all pairs that share any; within `ones` if that is all."""
    index: dict[str, list[int]] = defaultdict(list)
    sets = [shingles(p.text) for p in ones]
    right = sets if others is None else [shingles(p.text) for p in others]
    for i, found in enumerate(right):
        for shingle in found:
            index[shingle].append(i)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for i, found in enumerate(sets):
        for shingle in found:
            for j in index.get(shingle, ()):
                if others is not None or i < j:
                    shared[i, j] += 1
    targets = ones if others is None else others
    return sorted(
        ((ones[i].id, targets[j].id, n / min(len(sets[i]), len(right[j]))) for (i, j), n in shared.items()),
        key=lambda pair: (-pair[2], pair),
    )


def measure(
    written: Sequence[Paragraph], references: Mapping[str, Sequence[Paragraph]], real: Mapping[str, Sequence[Paragraph]]
) -> dict[str, Any]:
    """Counts of sharing and of near-duplicate pairs; versions of one group are not held against one another.

    `references` are by split, `real` by file name; a paragraph is not held against itself.
    """
    group = {p.id: p.meta.get("group") or p.id for p in written}
    writer = {p.id: p.meta["writer"] for p in written}
    within = [pair for pair in pairs(written) if group[pair[0]] != group[pair[1]]]
    split = {p.id: name for name, part in references.items() for p in part}
    published = [p for part in references.values() for p in part]
    of_references = pairs(published)
    found = {
        "written": _counted(within),
        "written, two writers": _counted(p for p in within if writer[p[0]] != writer[p[1]]),
        "references": _counted(of_references),
        "references, two splits": _counted(p for p in of_references if split[p[0]] != split[p[1]]),
    }
    for name, paragraphs in real.items():
        found[f"written and {name}"] = _counted(pairs(written, paragraphs))
    found["references and dev"] = _counted(pairs(published, real["dev"]))
    return found


def lines(found: Mapping[str, Any]) -> list[str]:
    return [
        "| between | pairs that share a run | near-duplicates | largest share |",
        "|---|---|---|---|",
        *(f"| {name} | {part['sharing']} | {part['near']} | {part['largest']:.2f} |" for name, part in found.items()),
    ]


def _counted(found: Iterable[tuple[str, str, float]]) -> dict[str, Any]:
    every = list(found)
    near = [pair for pair in every if pair[2] >= NEAR]
    return {"sharing": len(every), "near": len(near), "largest": round(max((p[2] for p in every), default=0), 4)}
