"""A model's scores as its card has them, and the codebook's rules as tests of its behaviour."""

from dataclasses import replace

import numpy as np
import pytest

import capthemes
from capthemes.codebook import Codebook
from capthemes.decision import Decision
from capthemes.evaluation import rules_kept, scores, versions_agree
from capthemes.model import Model
from capthemes.records import Probabilities, label_indices, theme_matrix


class Oracle:
    """A family that looks the gold labels up."""

    def __init__(self, codebook, gold):
        self.codebook, self.gold = codebook, {paragraph.text: paragraph for paragraph in gold}

    def predict_proba(self, texts):
        gold, book = [self.gold[text] for text in texts], self.codebook
        given = {}
        for part, values in (("stance", tuple(book.stances)), ("voice", tuple(book.voices))):
            given[part] = np.full((len(gold), len(book.names), len(values)), 1 / len(values))
            rows, themes, truth = label_indices(gold, book.names, values, part)
            given[part][rows, themes] = np.eye(len(values))[truth]
        theme = theme_matrix(gold, book.names).astype(float)
        return Probabilities(
            book.names, tuple(book.stances), tuple(book.voices), theme, given["stance"], given["voice"]
        )


def model(family, codebook):
    return Model("oracle", "keywords", family, Decision.plain(codebook.names), codebook, "0" * 64)


def test_scores_are_of_all_and_of_each_language_and_signed(land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    entries = scores(model(Oracle(book, land_paragraphs), book), land_paragraphs, "land")
    assert [(e["data"], e["paragraphs"]) for e in entries] == [
        ("land", 40),
        ("land, English", 30),
        ("land, Chinese", 10),
    ]
    assert all(e["micro_f1"]["value"] == e["stance_accuracy"]["value"] == 1 for e in entries)
    assert all(f"data:{e['data']}@" in e["signature"] and "model:oracle@" in e["signature"] for e in entries)


def test_scores_take_each_languages_own_rows(land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    wrong = [replace(p, labels=()) if p.text.startswith("第") else p for p in land_paragraphs]
    by_data = {
        e["data"]: e["micro_f1"]["value"] for e in scores(model(Oracle(book, wrong), book), land_paragraphs, "d")
    }
    assert by_data["d, English"] == 1
    assert by_data["d, Chinese"] == 0


def test_who_knows_every_label_keeps_every_rule_and_who_knows_none_keeps_none():
    book, gold = Codebook.load(), capthemes.annotations.paragraphs("rules")
    kept = rules_kept(model(Oracle(book, gold), book))
    assert set(kept) == {p.meta["rule"] for p in gold}
    assert sum(pairs for _, pairs in kept.values()) == len(gold) / 2
    assert all(right == pairs for right, pairs in kept.values())
    blind = rules_kept(model(Oracle(book, [replace(p, labels=()) for p in gold]), book))
    assert sum(right for right, _ in blind.values()) < 0.2 * len(gold) / 2


@pytest.mark.parametrize("part", ["theme", "stance", "voice"])
def test_a_pair_is_kept_only_with_both_sides_right(part):
    book, gold = Codebook.load(), capthemes.annotations.paragraphs("rules")
    pair = next(p for p in gold if p.meta["rule"].startswith(part) and p.labels)
    changed = {
        "theme": lambda x: (),
        "stance": lambda x: tuple(replace(y, stance="mixed" if y.stance != "mixed" else "neutral") for y in x),
        "voice": lambda x: tuple(replace(y, voice="author" if y.voice != "author" else "attributed") for y in x),
    }[part]
    spoilt = [replace(p, labels=changed(p.labels)) if p is pair else p for p in gold]
    right, pairs = rules_kept(model(Oracle(book, spoilt), book))[pair.meta["rule"]]
    assert right == pairs - 1


def test_versions_of_one_paragraph_are_held_against_one_another(land_codebook, land_paragraphs):
    book = Codebook.load(land_codebook)
    versions = [replace(p, meta={"group": f"g{i // 2 % 2}"}) for i, p in enumerate(land_paragraphs[:4])]
    agreement, pairs = versions_agree(model(Oracle(book, land_paragraphs), book), versions)
    assert pairs == 2  # land and land agree, farmland and nothing do not
    assert agreement == 0.5
    assert versions_agree(model(Oracle(book, land_paragraphs), book), land_paragraphs)[1] == 0
