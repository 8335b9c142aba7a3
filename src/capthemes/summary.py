"""What a run found: counted from its labelled tables, added up, written down and read back."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from capthemes.records import Label, Paragraph

if TYPE_CHECKING:
    import pyarrow

STRONGEST = 3
OPENING = 200  # characters kept of a strongest paragraph


@dataclass(slots=True)
class Summary:
    """What a run found: paragraphs, how many have any theme, stances by theme, the clearest paragraphs' openings.

    `rejected` counts the rows that could not be read, by file; a file or shard that could not be read at all, once.
    """

    paragraphs: int = 0
    labelled: int = 0
    stances: dict[str, Counter[str | None]] = field(default_factory=dict)
    strongest: list[tuple[Label, Paragraph]] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)

    def count(self, table: "pyarrow.Table | pyarrow.RecordBatch") -> None:
        """Add labelled rows, of columns id, text and labels."""
        import pyarrow
        import pyarrow.compute as compute

        labels = table["labels"]
        sizes = compute.list_value_length(labels)
        self.paragraphs += len(table)
        self.labelled += compute.sum(compute.greater(sizes, 0)).as_py() or 0
        flat = pyarrow.Table.from_struct_array(compute.list_flatten(labels))
        for row in flat.group_by(["theme", "stance"]).aggregate([([], "count_all")]).to_pylist():
            self.stances.setdefault(row["theme"], Counter())[row["stance"]] += row["count_all"]
        some = compute.indices_nonzero(compute.greater(sizes, 0))
        first = compute.list_element(labels.take(some), 0)
        certain = compute.struct_field(first, "probability")
        # stable, so that the same rows come first however the run was cut
        order = compute.array_sort_indices(compute.negate(certain))[:STRONGEST]
        for n, row in zip(order.to_pylist(), some.take(order).to_pylist(), strict=True):
            paragraph = Paragraph(table["id"][row].as_py(), table["text"][row].as_py()[:OPENING])
            self.strongest.append((Label(**first[n].as_py()), paragraph))
        self._keep_strongest()

    def add(self, other: "Summary") -> None:
        """Add what another part of the run found."""
        self.paragraphs += other.paragraphs
        self.labelled += other.labelled
        for theme, counts in other.stances.items():
            self.stances.setdefault(theme, Counter()).update(counts)
        self.strongest += other.strongest
        self.rejected.update(other.rejected)
        self._keep_strongest()

    def _keep_strongest(self) -> None:
        self.strongest = sorted(self.strongest, key=lambda pair: -(pair[0].probability or 0))[:STRONGEST]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON takes it."""
        counts = [[t, s, n] for t, of in sorted(self.stances.items()) for s, n in sorted(of.items(), key=str)]
        parts = ("theme", "stance", "voice", "probability")
        return {
            "paragraphs": self.paragraphs,
            "labelled": self.labelled,
            "rejected": dict(sorted(self.rejected.items())),
            "stances": counts,
            "strongest": [
                {part: getattr(label, part) for part in parts} | {"id": paragraph.id, "text": paragraph.text}
                for label, paragraph in self.strongest
            ],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Summary":
        """What `to_dict` wrote."""
        found = cls(content["paragraphs"], content["labelled"], rejected=Counter(content["rejected"]))
        for theme, stance, n in content["stances"]:
            found.stances.setdefault(theme, Counter())[stance] += n
        for row in content["strongest"]:
            paragraph = Paragraph(row.pop("id"), row.pop("text"))
            found.strongest.append((Label(**row), paragraph))
        return found


def total(summaries: Iterable[Summary]) -> Summary:
    """Many summaries as one; the order of equally strong paragraphs is theirs."""
    whole = Summary()
    for summary in summaries:
        whole.add(summary)
    return whole
