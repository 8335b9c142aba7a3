"""The card: a model's README.md, rendered from its manifest for a person to read."""

from collections.abc import Mapping, Sequence
from typing import Any

from capthemes.codebook import Codebook
from capthemes.store import home

INTERVAL = "Values in brackets are 95% intervals from a bootstrap over documents."
WATTS = 15  # of a busy server core with its share of memory and cooling: an assumption
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


def render(manifest: Mapping[str, Any], codebook: Codebook, mistakes: str | None = None) -> str:
    """The card's markdown: what the model is, what it was trained on, how good it is, what not to use it for.

    `mistakes` is the file beside the card in which mistakes were read one by one, where there is one.
    """
    about, name = manifest["about"], manifest["name"]
    place = name if (home("models") / name).is_dir() else f"path/of/{name}"
    lines = [
        f"# {name}",
        "",
        f"A model of the `{manifest['family']}` family for the {_counted(len(codebook.names), 'theme')} of codebook "
        f"version {codebook.version}" + (", their stances and voices." if codebook.stances else "."),
        "",
        "```python",
        "import capthemes",
        "",
        f'capthemes.load("{place}").predict(["A paragraph ..."])',
        "```",
        "",
    ]
    lines += _size_and_speed(manifest)
    lines += _training(about)
    lines += _limits(about)
    scores = about.get("scores", [])
    if scores:
        lines += ["## Scores", "", *_overall(scores), "", INTERVAL + " Stance and voice are given the gold theme.", ""]
        own = [entry for entry in scores if entry["model"] == name]
        held_out = own[1:] or own or scores  # the first has the paragraphs that the decision was fitted on
        for entry in held_out:
            lines += [f"## By theme, {entry['data']}", "", *_by_theme(entry), ""]
        if "confusions" in held_out[0]:
            lines += ["## Confusions", "", f"On {held_out[0]['data']}.", "", *_confusions(held_out[0]), ""]
    if mistakes is not None:
        which = "which names the model that made them"
        lines += ["## Mistakes", "", f"Some were read one by one: [{mistakes}]({mistakes}), {which}.", ""]
    if rules := about.get("rules"):
        lines += ["## The codebook's rules", "", *_rules(rules), ""]
    if versions := about.get("versions"):
        lines += [
            "## One paragraph in several languages",
            "",
            f"Themes of two versions of one paragraph overlap by {versions['agreement']:.2f} (mean Dice of "
            f"{versions['pairs']} pairs of `written`'s dev and test splits); stances and voices are not compared.",
            "",
        ]
    if scores:
        lines += ["## Signatures", "", *[f"- `{entry['signature']}`" for entry in scores], ""]
    lines += [*NOT_FOR, ""]
    return "\n".join(lines)


def _size_and_speed(manifest: Mapping[str, Any]) -> list[str]:
    size = sum(file["bytes"] for file in manifest["files"].values())
    lines = [f"Its files are {size / 1e6:,.1f} MB."]
    if speed := manifest["about"].get("speed"):
        rate = float(f"{speed['per_core_second']:.2g}")
        lines += [f"It labelled {speed['data']} at about {rate:,.0f} paragraphs a core-second when it was trained."]
    return [*lines, ""]


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _training(about: Mapping[str, Any]) -> list[str]:
    if not about.get("trained_on"):
        return []
    lines = ["## Trained on", ""]
    for use, key in (("", "trained_on"), (", for the decision only", "decided_on")):
        for data in about.get(key, []):
            lines += [f"- {data['name']}: {data['paragraphs']:,} paragraphs{use}, sha256 `{data['sha256'][:12]}`"]
    lines += ["", f"Seed {about['seed']}, capthemes {about['capthemes']}."]
    if training := about.get("training"):
        watt_hours = training["seconds"] * training["cores"] * WATTS / 3600
        minutes, cores = max(1, round(training["seconds"] / 60)), training["cores"]
        lines += [
            f"Trained in {_counted(minutes, 'minute')} on {_counted(cores, 'core')}, about {watt_hours:.0f} watt-hours "
            f"at {WATTS} watts a core."
        ]
    if about.get("command"):
        made = "the model, its card and every figure but the times"
        lines += [f"On data of these hashes this makes {made}: `{about['command']}`"]
        if "--texts" in about["command"].split():
            without = "sets by reference are then left out, and the figures are others"
            lines += [f"Without those texts, leave out `--texts` and `--measure`: {without}."]
    return [*lines, ""]


def _limits(about: Mapping[str, Any]) -> list[str]:
    """What is another model's, and what the training data could not teach."""
    lines = []
    if base := about.get("base"):
        lines += [
            f"The themes {', '.join(base['themes'])} are those of `{base['model']}`, kept as they are: its card has "
            "their scores. All below is about the others.",
            "",
        ]
    if found := limits(about):
        lines += ["## Limits of the training data", "", *(f"- {line}." for line in found), ""]
    return lines


def limits(about: Mapping[str, Any]) -> list[str]:
    """Paragraphs that were not read for a theme and what became of them, and themes of too few examples."""
    lines = []
    if unread := about.get("unread"):
        counts = ", ".join(f"{name} {count:,}" for name, count in unread["themes"].items())
        became = (
            "they were trained on as paragraphs without the theme, though some of them may have it"
            if unread["counted_as_absent"]
            else "they taught the model nothing of it"
        )
        lines.append(f"paragraphs that nobody read for a theme: {counts}; {became}")
    return [*lines, *about.get("needs", [])]


def _confusions(entry: Mapping[str, Any]) -> list[str]:
    """The commonest confusions of themes in a line, and tables of stance and voice, gold in rows."""
    confused = entry["confusions"]
    pairs = ", ".join(f"{gold} → {predicted} {n}" for gold, predicted, n in confused["theme"][:12])
    lines = [f"Themes, gold → predicted, - for none: {pairs or 'none'}."]
    for part in ("stance", "voice"):
        counts = {(gold, predicted): n for gold, predicted, n in confused[part]}
        values = sorted({value for pair in counts for value in pair})
        if values:
            lines += ["", f"| gold {part} | {' | '.join(values)} |", "|---" * (len(values) + 1) + "|"]
            lines += [f"| {a} | {' | '.join(str(counts.get((a, b), 0)) for b in values)} |" for a in values]
    return lines


def _rules(rules: Mapping[str, Sequence[int]]) -> list[str]:
    """How many minimal pairs are told apart, by part and then rule by rule."""
    lines = ["Minimal pairs told apart, of all (`annotations/rules.jsonl`)."]
    for part in ("theme", "stance", "voice"):
        of_part = {rule: found for rule, found in rules.items() if rule.split()[0] == part}
        right, pairs = (sum(found[place] for found in of_part.values()) for place in (0, 1))
        each = ", ".join(f"{rule.split()[1]}: {r}/{n}" for rule, (r, n) in of_part.items())
        lines += ["", f"- {part}: {right} of {pairs}. By rule: {each}."]
    return lines


def _overall(scores: list[Mapping[str, Any]]) -> list[str]:
    columns = ["data", "model", "paragraphs", *OVERALL.values(), "ECE"]
    rows = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for entry in scores:
        cells = " | ".join(interval(entry[part]) for part in OVERALL)
        rows.append(
            f"| {entry['data']} | {entry['model']} | {entry['paragraphs']:,} | {cells} | {interval(entry['ece'])} |"
        )
    return rows


def _by_theme(entry: Mapping[str, Any]) -> list[str]:
    rows = [
        "| theme | gold | precision | recall | F1 | average precision | ECE |",
        "|---|---|---|---|---|---|---|",
    ]
    for theme, s in entry["themes"].items():
        rows.append(
            f"| {theme} | {s['support']} | {interval(s['precision'])} | {interval(s['recall'])} | {interval(s['f1'])} "
            f"| {interval(s['average_precision'])} | {interval(s['ece'])} |"
        )
    return rows


def interval(score: Mapping[str, float] | float | None) -> str:
    """A score as "0.61 [0.56, 0.66]", as "0.61" in manifests that kept no interval of it, "-" where there is none."""
    if isinstance(score, Mapping):
        return f"{score['value']:.2f} [{score['low']:.2f}, {score['high']:.2f}]"
    return "-" if score is None else f"{score:.2f}"


def value(score: Mapping[str, float] | float) -> float:
    """A score without its interval."""
    return score["value"] if isinstance(score, Mapping) else score
