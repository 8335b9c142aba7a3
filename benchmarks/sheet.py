"""What the measurements share: the files of published text, and sheets whose marked places are filled."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def sources(real: Path) -> list[Path]:
    """What of a folder of published text has the texts of the references: two files, and perhaps git checkouts."""
    checkouts = real / "checkouts"
    return [real / "pool.jsonl", real / "unlabelled.jsonl.gz", *([checkouts] if checkouts.is_dir() else [])]


def filled(sheet: str, parts: Mapping[str, Sequence[str]]) -> str:
    """The sheet with the lines of each part between its marks, `<!-- name -->` and `<!-- /name -->`."""
    for name, lines in parts.items():
        before, rest = sheet.split(f"<!-- {name} -->\n", 1)
        _, after = rest.split(f"<!-- /{name} -->", 1)
        sheet = before + f"<!-- {name} -->\n" + "\n".join(lines) + f"\n<!-- /{name} -->" + after
    return sheet
