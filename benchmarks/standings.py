"""Tables and pictures of what the peers reached, rendered from their results into benchmarks/README.md."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import LANGUAGES, PEERS, RESULTS, data_now, folder_now, measure, rest_now
from benchmarks.sheet import filled
from capthemes.codebook import Codebook
from capthemes.comparison import Difference, compared, holm
from capthemes.errors import InputError
from capthemes.manifest import fingerprint as fingerprint_of
from capthemes.manifest import read_manifest
from capthemes.metrics import Score
from capthemes.model import names
from capthemes.outcomes import f1
from capthemes.records import Array
from capthemes.store import home

ROOT = Path(__file__).parents[1]
SHEET = ROOT / "benchmarks" / "README.md"
PLOTS = ROOT / "benchmarks" / "plots"
CURVE = ROOT / "benchmarks" / "results" / "data.json"
OURS = ("accurate", "fast")
REAL = ("real/dev", "references/test")
COLUMNS = {
    "real/dev, English": "real/dev English",
    "real/dev, Chinese": "real/dev Chinese",
    "references/test": "references/test",
    "written/test": "written/test",
}
SIGNED = "references/test"  # whose signature the list of settings shows; all are in the results
SHOWN = ("accurate", "fast", "tfidf", "fasttext")  # in pictures by theme, where all would hide one another


def results() -> dict[str, dict[str, Any]]:
    """Name -> what was measured of a peer, the best on published paragraphs first."""
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}
    return dict(sorted(found.items(), key=lambda item: -item[1]["scores"]["references/test"]["micro_f1"]["value"]))


def run(real: Path | None, only: Sequence[str] = (), peer: Sequence[Path] = (), nli: str | None = None) -> None:
    """Measure the peers named, or all, and render. Without published text, what was measured is rendered anew."""
    if real is not None:
        measure(real, only, peer, nli)
    elif only or peer:
        raise InputError("--only and --peer measure, which takes published texts; add --real FOLDER")
    render()


def render() -> None:
    """Fill the sheet and draw the pictures."""
    SHEET.write_text(rendered(SHEET.read_text(encoding="utf-8")), encoding="utf-8")
    draw()


def rendered(sheet: str) -> str:
    found = results()
    parts = {"quality": _scores(found), "leads": _leads(found), "settings": _settings(found)}
    return filled(sheet, {name: list(lines) for name, lines in parts.items()})


def fingerprint() -> str:
    """Of all that the pictures are made of."""
    files = [*sorted(RESULTS.glob("*.json")), CURVE]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def draw() -> None:
    """The pictures of benchmarks/plots, each marked with the fingerprint of its figures."""
    from capthemes import plots

    PLOTS.mkdir(exist_ok=True)
    found, data = results(), "references/test"
    shown = {found[name]["title"].replace("`", ""): found[name] for name in SHOWN if name in found}
    themes = plots.theme_names(Codebook.load())
    by_theme = {t: {k: (n, Score(**s)) for k, (n, s) in r["themes"][data].items()} for t, r in shown.items()}
    said = {title: r["reliability"][data] for title, r in shown.items() if r["reliability"][data]}
    stances = {title: r["stances"][data] for title, r in shown.items() if r["stances"][data]}
    timed = [r for r in found.values() if "per_core_second" in r]
    paces = {r["title"].replace("`", ""): (r["per_core_second"], _score(r, data, "micro_f1")) for r in timed}
    curve: dict[str, list[tuple[int, float]]] = {}
    for row in json.loads(CURVE.read_text(encoding="utf-8"))["curve"]:
        curve.setdefault(row["trained_on"], []).append((row["paragraphs"], row["micro_f1"]))
    figures = {
        "themes": plots.forest(by_theme, themes),
        "reliability": plots.reliability(said),
        "stances": plots.confusions(stances, list(Codebook.load().stances)),
        "speed": plots.speed(paces, f"theme micro-F1, {data}", "of one core"),
        "curve": plots.learning_curve(curve, "theme micro-F1, real/dev"),
    }
    for name, figure in figures.items():
        plots.save(figure, PLOTS / f"{name}.png", fingerprint())


def _score(result: dict[str, Any], data: str, part: str) -> Score:
    return Score(**result["scores"][data][part])


def _scores(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    last = ("theme and stance, references/test", "paragraphs a core-second", "trained on")
    yield f"| | {' | '.join([*COLUMNS.values(), *last])} |"
    yield "|---" * (len(COLUMNS) + 4) + "|"
    now, rest = data_now(), rest_now()
    for name, result in found.items():
        end = result["scores"]["references/test"]["theme_stance_f1"]
        scored = result["scores"]
        cells = [str(_score(result, data, "micro_f1")) if data in scored else "-" for data in COLUMNS]
        cells += [str(Score(**end)) if end else "-", _pace(result), _trained_on(name, result, now, rest)]
        yield f"| {result['title']} | {' | '.join(cells)} |"
    missing = [f"`{path.parent.name}`" for path in sorted(PEERS.glob("*/peer.yaml")) if path.parent.name not in found]
    if missing:
        yield ""
        yield f"Not measured yet: {', '.join(missing)}; what stands below is said of the others only."


def _pace(result: dict[str, Any]) -> str:
    return f"{result['per_core_second']:,.0f}" if "per_core_second" in result else "-"


def _trained_on(name: str, result: dict[str, Any], now: str, rest: str) -> str:
    told = [f"{result['trained_on']:,}" if result["trained_on"] else "none"]
    if result["data"] != now:
        told.append("before the sets changed")
    if result.get("rest", rest) != rest:
        told.append("before the codebook, the written texts or the peers' shared code changed")
    if _changed(name, result):
        told.append("measured with another version")
    return ", ".join(told)


def _changed(name: str, result: dict[str, Any]) -> bool:
    """Whether the peer's folder, or the bundled model that it loads, is not what was measured."""
    folder, model = PEERS / name, result.get("model")
    if model and (shipped := model.partition("@")[0]) in names() and model != shipped_id(shipped):
        return True
    return folder.is_dir() and result.get("peer", folder_now(folder)) != folder_now(folder)


def shipped_id(name: str) -> str:
    """What a bundled model is called with its fingerprint."""
    return f"{name}@{fingerprint_of(read_manifest(home('models') / name))[:12]}"


def _leads(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The better of ours less each peer, on published paragraphs; p after Holm's correction for all of a column.

    Then where either of ours does not lead.
    """
    ours = next((name for name in found if name in OURS), None)
    if ours is None:
        return
    peers = [name for name in found if name not in OURS]
    columns = [f"{data}, {language}" for data in REAL for language in LANGUAGES]
    tested = {data: _tested(found, ours, peers, data) for data in columns}
    yield f"| `{ours}` less | {' | '.join(columns)} |"
    yield "|---" * (len(columns) + 1) + "|"
    for name in peers:
        cells = [_lead(tested[data].get(name)) for data in columns]
        yield f"| {found[name]['title']} | {' | '.join(cells)} |"
    yield ""
    if any(tested.values()):
        yield _not_above("The difference", found, tested)
    if untold := [found[name]["title"] for name in peers if any(name not in tested[data] for data in columns)]:
        yield f"A dash: not scored on the same paragraphs as `{ours}` ({', '.join(untold)})."
    for other in (name for name in found if name in OURS and name != ours):
        tested = {data: _tested(found, other, peers, data) for data in columns}
        if any(tested.values()):
            yield ""
            yield _not_above(f"`{other}` less each peer: the difference", found, tested)


def _not_above(what: str, found: dict[str, dict[str, Any]], tested: dict[str, dict[str, Difference]]) -> str:
    """A sentence: which differences' intervals are not above zero; `tested` is of one of ours, by column and peer."""
    behind = [
        f"{found[name]['title']} on {data}" for data, told in tested.items() for name, d in told.items() if d.low <= 0
    ]
    if not behind:
        return f"{what}'s interval is above zero against every peer."
    return f"{what}'s interval is not above zero against: {'; '.join(behind)}."


def _lead(found: Difference | None) -> str:
    if found is None:
        return "-"
    p = "< 0.001" if found.corrected < 0.001 else f"{found.corrected:.3f}"
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}], p {p}"


def _tested(found: dict[str, dict[str, Any]], ours: str, peers: list[str], data: str) -> dict[str, Difference]:
    """Peer -> ours less it, of those that were scored on the very same documents, when the sets were the same."""
    told = {name: found[name]["counts"].get(data) for name in (ours, *peers)}
    sums = {name: np.array(counts, dtype=float) for name, counts in told.items() if counts}
    same = [
        name
        for name in peers
        if found[name]["data"] == found[ours]["data"]
        and {name, ours} <= sums.keys()
        and np.array_equal(_gold(sums[name]), _gold(sums[ours]))
    ]
    plain = [compared(np.stack([sums[name], sums[ours]]), f1) for name in same]
    corrected = holm([d.p for d in plain])
    return {name: replace(d, corrected=float(p)) for name, d, p in zip(same, plain, corrected, strict=True)}


def _gold(sums: Array) -> Array:
    """Gold labels by document, of its (documents, 3) true positives, false positives and false negatives."""
    return np.asarray(sums[:, 0] + sums[:, 2])


def _settings(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    for result in found.values():
        signed = [f"Signed `{result['signature'][SIGNED]}`."] if "signature" in result else []
        yield " ".join([f"- {result['title']}: {result['what']}", *_searched(result), *signed])


def _searched(result: dict[str, Any]) -> Iterator[str]:
    """What was searched, on how much, what was best, and what was fixed."""
    rows = [row["settings"] for row in result["searched"]]
    values = {key: list(dict.fromkeys(str(row[key]) for row in rows)) for key in result["settings"] if rows}
    searched = {key: tried for key, tried in values.items() if len(tried) > 1}
    if searched:
        grid = "; ".join(f"{key} {', '.join(tried)}" for key, tried in searched.items())
        most = f", on at most {result['search_on']:,} paragraphs" if result.get("search_on") else ""
        yield f"Searched: {grid}{most}."
        best = [f"{key} {result['settings'][key]}" for key in searched]
        yield f"Best: {', '.join(best)}."
    if fixed := [f"{key} {value}" for key, value in result["settings"].items() if key not in searched]:
        yield f"Fixed: {', '.join(fixed)}."
