"""Draw the cards of the written paragraphs: `python annotations/cards.py > annotations/written/cards.jsonl`.

A card says what a paragraph is to be like (language, register, year, subject, length, opening), never
which labels it is to carry. The lists stand in cards.toml; the draw is seeded and repeats itself.
"""

import json
import random
import sys
import tomllib
from pathlib import Path

SEED = 20261122
LISTS = tomllib.loads(Path(__file__).with_name("cards.toml").read_text(encoding="utf-8"))


def draw_subjects(rng: random.Random) -> tuple[list[str], bool]:
    """One or two subjects and whether they come from the themes' neighbourhoods."""
    mix = LISTS["mix"]
    if rng.random() < mix["near_miss"]:
        return [rng.choice(LISTS["near_miss"]["texts"])], False
    themes, weights = list(LISTS["weight"]), list(LISTS["weight"].values())
    count = 2 if rng.random() < mix["two_subjects"] else 1
    drawn: list[str] = []
    while len(drawn) < count:
        subject = rng.choice(LISTS["subjects"][rng.choices(themes, weights)[0]])
        if subject not in drawn:
            drawn.append(subject)
    return drawn, True


def draw_card(rng: random.Random, language: str, extra: dict) -> dict:
    """A card; `extra` may name the subjects, registers and lengths to draw from, and the leaning ("" for none)."""
    mix, draw, length = LISTS["mix"], LISTS["draw"], LISTS["length"]
    subjects, within = ([rng.choice(extra["subjects"])], True) if "subjects" in extra else draw_subjects(rng)
    family = "zh" if language.startswith("zh") else "en"
    return {
        "language": language,
        "register": rng.choice(extra.get("registers") or LISTS["registers"]["zh" if family == "zh" else language]),
        "year": int(rng.choices(list(LISTS["years"]), list(LISTS["years"].values()))[0]),
        "subjects": subjects,
        "leaning": extra["leaning"] or None
        if "leaning" in extra
        else rng.choices(LISTS["leanings"]["texts"], LISTS["leanings"]["weights"])[0]
        if within and rng.random() < mix["leaning"]
        else None,
        "industry": rng.choice(draw["industries"]),
        "place": rng.choice(draw["places"]),
        "actor": rng.choice(draw["actors"]),
        "length": rng.choices(extra.get("lengths") or length[family], length["weights"])[0],
        "opening": rng.choice(draw["openings"]),
        "wording": "the usual set phrases" if rng.random() < mix["phrase"] else "no set phrases, by substance",
        "plain": rng.random() < mix["plain"],
    }


def draw_writer(writer: int, quota: dict[str, int], extra: dict) -> list[dict]:
    """All cards of one writer, single paragraphs shuffled, then the groups."""
    rng = random.Random(f"{SEED}/{writer}")
    name = f"w{writer:02d}"
    languages = [language for language in ("en", "en-mt", "zh", "zh-Hant") for _ in range(quota.get(language, 0))]
    rng.shuffle(languages)
    cards = [
        {"id": f"{name}-{n:03d}", "writer": name, "group": None, **draw_card(rng, language, extra)}
        for n, language in enumerate(languages, 1)
    ]
    for g in range(1, quota.get("groups", 0) + 1):
        card, group = draw_card(rng, "zh", extra), f"{name}-g{g:02d}"
        versions = ["zh", "en-mt"] + (["en"] if g <= quota["groups_with_plain_english"] else [])
        for language in versions:
            cards.append({"id": f"{group}-{language}", "writer": name, "group": group, **card, "language": language})
    return cards


def main() -> None:
    count = LISTS["writers"]["count"]
    writers = [(writer, LISTS["quota"], {}) for writer in range(1, count + 1)]
    writers += [(count + n, extra["quota"], extra) for n, extra in enumerate(LISTS["extra"], 1)]
    for writer, quota, extra in writers:
        for card in draw_writer(writer, quota, extra):
            sys.stdout.write(json.dumps(card, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
