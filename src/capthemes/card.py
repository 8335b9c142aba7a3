"""The card: a model's README.md, rendered from its manifest for a person to read."""

from collections.abc import Mapping
from typing import Any

from capthemes.codebook import Codebook

INTERVAL = "Values in brackets are 95% intervals from a bootstrap over documents."
OVERALL = {
    "micro_f1": "theme micro-F1",
    "macro_f1": "theme macro-F1",
    "stance_macro_f1": "stance macro-F1",
    "stance_accuracy": "stance accuracy",
    "voice_macro_f1": "voice macro-F1",
}
NOT_FOR = [
    "## Not for",
    "",
    "- Judging persons or firms, or any decision about one paragraph without a reader.",
    "- Shares of themes published as counted: the errors above do not cancel out.",
    "- Text far from policy, business and the press; languages other than English and Chinese.",
]


def render(manifest: Mapping[str, Any], codebook: Codebook) -> str:
    """The card's markdown: what the model is, what it was trained on, how good it is, what not to use it for."""
    about, name = manifest["about"], manifest["name"]
    lines = [
        f"# {name}",
        "",
        f"A `{manifest['family']}` model for the {len(codebook.names)} themes of codebook version {codebook.version}"
        + (", their stances and voices." if codebook.stances else "."),
        "",
        "```python",
        "import capthemes",
        "",
        f'capthemes.load("{name}").predict(["A paragraph ..."])',
        "```",
        "",
    ]
    if trained := about.get("trained_on"):
        lines += ["## Trained on", ""]
        lines += [f"- {d['name']}: {d['paragraphs']:,} paragraphs, sha256 `{d['sha256'][:12]}`" for d in trained]
        lines += ["", f"Seed {about['seed']}, capthemes {about['capthemes']}."]
        if about.get("command"):
            lines += [f"Regenerate the model, this card and every figure in it: `{about['command']}`"]
        lines += [""]
    scores = about.get("scores", [])
    if scores:
        lines += ["## Scores", "", *_overall(scores), "", INTERVAL + " Stance and voice are given the gold theme.", ""]
        held_out = [entry for entry in scores if entry["model"] == name][:2][-1]  # the first is cross-validated
        lines += ["## By theme", "", f"On {held_out['data']}.", "", *_by_theme(held_out)]
        lines += ["", "## Signatures", "", *[f"- `{entry['signature']}`" for entry in scores], ""]
    lines += [*NOT_FOR, ""]
    return "\n".join(lines)


def _overall(scores: list[Mapping[str, Any]]) -> list[str]:
    columns = ["data", "model", "paragraphs", *OVERALL.values(), "ECE"]
    rows = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for entry in scores:
        cells = " | ".join(_interval(entry[part]) for part in OVERALL)
        rows.append(f"| {entry['data']} | {entry['model']} | {entry['paragraphs']:,} | {cells} | {entry['ece']:.2f} |")
    return rows


def _by_theme(entry: Mapping[str, Any]) -> list[str]:
    rows = [
        "| theme | gold | precision | recall | F1 | average precision | ECE |",
        "|---|---|---|---|---|---|---|",
    ]
    for theme, s in entry["themes"].items():
        rows.append(
            f"| {theme} | {s['support']} | {s['precision']:.2f} | {s['recall']:.2f} | {_interval(s['f1'])} "
            f"| {s['average_precision']:.2f} | {s['ece']:.2f} |"
        )
    return rows


def _interval(score: Mapping[str, float] | None) -> str:
    return "-" if score is None else f"{score['value']:.2f} [{score['low']:.2f}, {score['high']:.2f}]"
