"""Fixtures that several test files share."""

import json
from dataclasses import replace
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


@pytest.fixture
def one_theme(tmp_path: Path, land_paragraphs) -> tuple[Path, list[Paragraph]]:
    """A codebook of one theme without stances or voices, and the land paragraphs labelled by it."""
    path = tmp_path / "one.md"
    path.write_text(
        "# One theme, version 1\n\n| theme | Chinese | what it covers | stance target |\n|---|---|---|---|\n"
        "| `farmland` | 耕地 | Arable land | its protection |\n",
        encoding="utf-8",
    )
    kept = [tuple(Label(x.theme) for x in p.labels if x.theme == "farmland") for p in land_paragraphs]
    return path, [replace(p, labels=labels) for p, labels in zip(land_paragraphs, kept, strict=True)]


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory) -> str:
    """A BERT of two thin layers and a hundred pieces, never trained: what takes hours at full size takes a second."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("encoder")
    marks = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [*"abcdefghijklmnopqrstuvwxyz0123456789.,", "land", "plant"]
    vocabulary = {piece: i for i, piece in enumerate([*marks, *pieces, *(f"##{piece}" for piece in pieces)])}
    transformers.BertTokenizerFast(vocab=vocabulary).save_pretrained(folder)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = transformers.BertConfig(vocab_size=len(vocabulary), **shape)
    pytest.importorskip("torch").manual_seed(0)
    transformers.BertModel(config).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def options(tiny_encoder, tmp_path_factory) -> dict[str, dict]:
    """What each family needs to be fitted in a test beyond paragraphs and a codebook."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    return {
        "ensemble": {"encoder": tiny_encoder},
        "fewshot": {"encoder": tiny_encoder},
        "joint": {"of": "linear"},
        "pipeline": {"estimator": make_pipeline(TfidfVectorizer(), OneVsRestClassifier(LogisticRegression()))},
        "transformer": {"encoder": tiny_encoder},
        "zeroshot": {"encoder": nli(tiny_encoder, tmp_path_factory.mktemp("nli"))},
    }


def nli(encoder: str, folder: Path) -> str:
    """A language-inference model of the same make, which knows nothing."""
    import transformers

    named = {0: "contradiction", 1: "neutral", 2: "entailment"}
    config = transformers.BertConfig.from_pretrained(encoder, id2label=named, label2id={v: k for k, v in named.items()})
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    transformers.BertTokenizerFast.from_pretrained(encoder).save_pretrained(folder)
    return str(folder)


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
