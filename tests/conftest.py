"""Fixtures that several test files share."""

import json
from pathlib import Path

import pytest

import capthemes
from capthemes.records import Label, Paragraph

ROOT = Path(__file__).parents[1]

CODEBOOK = """# Land codebook, version 3

## What is recorded

### Stance
- `supportive`: for it.
- `critical`: against it.

### Voice
- `author`: the writer.
- `attributed`: someone cited.

## The themes

| theme | Chinese | what it covers | stance target |
|---|---|---|---|
| `industrial_land` | 工业用地 | Land for plants: price, quotas, idle plots | giving land to industry |
| `farmland` | 耕地 | Arable land, its loss and protection | protecting farmland |

## Rules for themes
1. A plot for a plant is `industrial_land`.
"""


@pytest.fixture
def land_codebook(tmp_path: Path) -> Path:
    """A user's own codebook of two themes, two stances, two voices."""
    path = tmp_path / "land.md"
    path.write_text(CODEBOOK, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def land_paragraphs() -> list[Paragraph]:
    """Forty paragraphs labelled by the land codebook, easy to tell apart."""
    made = []
    for i in range(10):
        for text, labels in (
            (f"Plot {i} for a plant was sold cheaply and it helps.", [("industrial_land", "supportive", "author")]),
            (f"A plant got plot {i}, which critics call waste.", [("industrial_land", "critical", "attributed")]),
            (f"第{i}块耕地得到保护，效果良好。", [("farmland", "supportive", "author")]),
            (f"The choir sang {i} songs at the school.", []),
        ):
            made.append(Paragraph(f"p{len(made)}", text, tuple(Label(*label) for label in labels), {"doc": f"d{i}"}))
    return made


@pytest.fixture(scope="session")
def fast() -> capthemes.Model:
    """The bundled default model."""
    return capthemes.load()


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    """A folder of an English txt, a Chinese md and a jsonl with other columns."""
    folder = tmp_path / "articles"
    folder.mkdir()
    (folder / "mills.txt").write_text("Steel mills cut output.\n\nThe choir sang.\n", encoding="utf-8")
    (folder / "集市.md").write_text("# 统一大市场\n\n各地不得违规出台招商引资优惠政策。\n", encoding="utf-8")
    rows = [{"id": i, "text": f"Tariff {i} was announced.", "year": 2020 + i, "tags": ["a", "b"]} for i in range(3)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder
