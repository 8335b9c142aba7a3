import json
from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from capthemes import prevalence, rounds
from capthemes.codebook import Codebook
from capthemes.errors import InputError
from capthemes.intervals import wilson
from capthemes.records import BY_HAND, Label, Paragraph, unit
from capthemes.runs import open_run
from capthemes.sampling import Strata, draw, each_alone, power, read_sample

THEMES = ("farmland", "industrial_land")
STRATA = Strata().names
TRUE = {"farmland": 0.3, "industrial_land": 0.06}


def corpus(n: int = 4000, seed: int = 0) -> tuple[pyarrow.Table, dict[str, Paragraph]]:
    """A run over paragraphs of known labels, four to a document; the model finds four in five and errs now and then."""
    rng = np.random.default_rng(seed)
    truth = np.stack([rng.random(n) < TRUE[theme] for theme in THEMES], axis=1)
    p = np.clip(np.where(truth, 0.7, 0.1) + rng.normal(0, 0.15, truth.shape), 0.01, 0.99)
    stance = np.where(rng.random(n) < 0.7, "supportive", "critical")
    told = np.where(rng.random(n) < 0.85, stance, "mixed")

    def labels(given, value):
        return [
            [
                {"theme": THEMES[t], "stance": value[i], "voice": "author", "probability": 0.5}
                for t in np.flatnonzero(row)
            ]
            for i, row in enumerate(given)
        ]

    ids = [f"p{i}" for i in range(n)]
    columns = {
        "id": ids,
        "text": [f"text {i}" for i in range(n)],
        "document": [f"d{i // 4}" for i in range(n)],
        "year": [2020 + i % 2 if i else None for i in range(n)],
        "labels": labels(p >= 0.5, told),
        "probabilities": pyarrow.FixedSizeListArray.from_arrays(p.astype(np.float32).ravel(), 2),
        "model": ["land@0"] * n,
        "schema": [2] * n,
    }
    book = Codebook.load()
    known = {"themes": THEMES, "stances": list(book.stances), "voices": list(book.voices)}
    table = pyarrow.table(columns).replace_schema_metadata({name: json.dumps(x) for name, x in known.items()})
    gold = {
        name: Paragraph(name, f"text {i}", tuple(Label(x["theme"], x["stance"], x["voice"]) for x in row))
        for i, (name, row) in enumerate(zip(ids, labels(truth, stance), strict=True))
    }
    return table, gold


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run.parquet"
    table, gold = corpus()
    pyarrow.parquet.write_table(table, path, row_group_size=700)
    return open_run(path), gold


def labelled(rows, gold) -> list[Paragraph]:
    """What a person makes of a drawn sample."""
    return [
        Paragraph(r["id"], r["text"], gold[r["id"]].labels, {k: r[k] for k in ("stratum", "weight") if k in r})
        for r in rows
    ]


def shares(gold) -> dict[str, float]:
    return {theme: np.mean([any(x.theme == theme for x in p.labels) for p in gold.values()]) for theme in THEMES}


def test_counts_are_those_of_the_labels_and_have_no_interval(made):
    run, _ = made
    found = prevalence.estimate(run, by="year")
    rows = [row for batch in run.batches() for row in batch.to_pylist()]
    for year in (None, "2020", "2021", "missing"):
        own = [r for r in rows if year is None or str(r["year"] or "missing") == year]
        counted = found.of("farmland", group=year)[0]
        assert found.paragraphs[year] == len(own)
        assert counted.share == pytest.approx(
            np.mean([any(x["theme"] == "farmland" for x in r["labels"]) for r in own])
        )
        assert counted.low is None
    stance = found.of("farmland", "stance", "supportive")[0]
    given = [x["stance"] for r in rows for x in r["labels"] if x["theme"] == "farmland"]
    assert stance.share == pytest.approx(given.count("supportive") / len(given))
    balance = found.of("farmland", "balance")[0]
    assert balance.share == pytest.approx((given.count("supportive") - given.count("critical")) / len(given))
    assert found.of("farmland", "voice", "author")[0].share == 1.0
    documents = {r["document"] for r in rows if any(x["theme"] == "farmland" for x in r["labels"])}
    assert found.of("farmland", "documents")[0].share == pytest.approx(len(documents) / 1000)
    assert all(e.low is None for e in found.estimates)
    assert "capthemes sample" in found.of("farmland")[2].note


def test_without_a_sample_error_rates_adjust_the_count(made):
    run, _ = made
    counted = prevalence.estimate(run).of("farmland")[0].share
    adjusted = prevalence.estimate(run, rates=dict.fromkeys(THEMES, (0.9, 0.99))).of("farmland")[1]
    assert adjusted.share == pytest.approx((counted - 0.01) / 0.89)
    assert adjusted.low is None


@pytest.mark.parametrize("theme", [None, "industrial_land"])
def test_intervals_of_a_stratified_sample_hold_the_true_shares(made, theme):
    run, gold = made
    found = prevalence.estimate(run, by="year", sample=labelled(draw(run, 800, theme=theme, seed=3), gold))
    for name, true in shares(gold).items():
        _, adjusted, powered = found.of(name)
        for estimate in (adjusted, powered):
            assert estimate.low <= true <= estimate.high
            assert estimate.high - estimate.low < 0.09
            assert estimate.labelled == 800
        assert found.of(name, group="2021")[2].high - found.of(name, group="2021")[2].low > powered.high - powered.low
    assert found.best("farmland").kind in ("ppi", "wilson")


def test_a_simple_sample_has_intervals_of_stances_voices_and_balance(made):
    run, gold = made
    ids = np.random.default_rng(1).choice(list(gold), 900, replace=False)
    found = prevalence.estimate(run, sample=[gold[name] for name in ids])
    assert found.of("farmland")[2].kind == "ppi"
    stance = found.of("farmland", "stance", "supportive")[2]
    assert stance.low < 0.7 < stance.high
    assert stance.high - stance.low < 0.12
    balance = found.of("farmland", "balance")[2]
    assert balance.low < 0.4 < balance.high
    assert found.of("industrial_land", "stance", "critical")[2].kind == "wilson"
    assert found.of("farmland", "documents")[1].low is None


def test_below_fifty_positives_it_says_how_many_more_labels_are_needed(made):
    run, gold = made
    sample = labelled(draw(run, 150, seed=1), gold)
    found = prevalence.estimate(run, sample=sample)
    powered = found.of("industrial_land")[2]
    assert powered.kind == "wilson"
    assert powered.note == (
        f"of hand labels alone: {powered.positives} of 50 positives (or negatives); "
        f"about {round(150 * (50 / powered.positives - 1)):,} more labels are needed"
    )
    few = found.of("industrial_land", "stance", "critical")[2]
    assert few.high - few.low > 0.4
    assert "more labels are needed" in few.note
    unseen = prevalence.estimate(run, sample=[p for p in sample if not p.labels][:20])
    assert unseen.of("farmland", "stance", "critical")[2].share is None
    assert "how many cannot be told yet" in unseen.of("farmland")[2].note
    assert "more labels are needed" in unseen.of("farmland", "stance", "critical")[2].note


def test_a_shortfall_in_every_stratum_is_told_though_there_are_fifty_in_all(made):
    run, gold = made
    sample = labelled(draw(run, 240, seed=1), gold)
    powered = prevalence.estimate(run, sample=sample, document="id").of("farmland")[2]
    in_strata = [
        [any(x.theme == "farmland" for x in p.labels) for p in sample if p.meta["stratum"] == h] for h in STRATA
    ]
    most = max(min(sum(own), len(own) - sum(own)) for own in in_strata)
    assert (powered.kind, powered.positives > 50 > most) == ("wilson", True)
    assert f"{powered.positives} positives (or negatives) count as {most} of 50, as they are spread" in powered.note
    assert powered.needed == round(240 * (50 / most - 1))
    more = labelled(draw(run, 3000, seed=1), gold)
    enough = prevalence.estimate(run, sample=more, document="id")
    assert (enough.of("farmland")[2].kind, enough.of("farmland")[2].needed) == ("ppi", None)


@pytest.mark.parametrize("stratified", [False, True])
def test_where_hand_labels_tell_no_stance_or_voice_none_is_estimated(made, stratified):
    run, gold = made
    sample = labelled(draw(run, 800, seed=3), gold) if stratified else [gold[f"p{i}"] for i in range(0, 4000, 5)]
    silent = [replace(p, labels=tuple(Label(x.theme, x.stance) for x in p.labels)) for p in sample]
    found, told = prevalence.estimate(run, sample=silent), prevalence.estimate(run, sample=sample)
    assert [e.share for e in found.of("farmland", "voice", "author")[1:]] == [None, None]
    assert found.of("farmland", "voice", "author")[2].note == "no hand label of this theme tells a voice"
    assert found.best("farmland", "voice", "author").way == "counted"
    assert found.of("farmland", "stance", "critical") == told.of("farmland", "stance", "critical")
    bare = [replace(p, labels=tuple(Label(x.theme) for x in p.labels)) for p in sample]
    assert prevalence.estimate(run, sample=bare).of("farmland", "balance")[2].share is None


def test_a_stance_that_some_labels_do_not_tell_is_shared_among_those_that_do(made):
    run, gold = made
    sample = [gold[f"p{i}"] for i in range(0, 4000, 2)]
    half = [
        replace(p, labels=tuple(Label(x.theme, x.stance if i % 2 else None) for x in p.labels))
        for i, p in enumerate(sample)
    ]
    _, adjusted, powered = prevalence.estimate(run, sample=half).of("farmland", "stance", "supportive")
    known = sum(x.theme == "farmland" for p in sample[1::2] for x in p.labels)
    for estimate in (adjusted, powered):
        assert estimate.low < 0.7 < estimate.high
        assert estimate.low > 0.5
        assert estimate.labelled == known


def test_what_a_paragraph_was_not_read_for_is_not_taken_as_absent(made):
    run, gold = made
    rows = labelled(draw(run, 400, seed=3), gold)
    narrow = [replace(p.only(["farmland"]), meta={**p.meta, "read": ["farmland"]}) for p in rows]
    found = prevalence.estimate(run, sample=narrow)
    assert found.of("farmland") == prevalence.estimate(run, sample=rows).of("farmland")
    assert [e.low for e in found.of("industrial_land")] == [None] * 3
    assert found.of("industrial_land")[2].note == "no paragraph of the sample was read for this theme"
    assert found.best("industrial_land").way == "counted"
    assert found.of("industrial_land", "stance", "critical")[2].note == found.of("industrial_land")[2].note
    mixed = prevalence.estimate(run, sample=[*rows[:300], *narrow[300:]])
    assert (mixed.of("farmland")[2].labelled, mixed.of("industrial_land")[2].labelled) == (400, 300)


def test_documents_count_where_all_their_paragraphs_were_read_for_the_theme(made):
    run, gold = made
    rows = labelled(draw(run, 400, documents="document", seed=2), gold)
    found = prevalence.estimate(run, sample=[replace(rows[0], meta={"read": ["farmland"]}), *rows[1:]])
    assert found.of("farmland", "documents")[1].labelled == 100
    assert "whole documents" in found.of("industrial_land", "documents")[1].note


def test_whole_documents_give_intervals_of_documents(made):
    run, gold = made
    rows = draw(run, 800, documents="document", seed=2)
    found = prevalence.estimate(run, sample=labelled(rows, gold))
    names = list(dict.fromkeys(r["document"] for r in rows))
    assert len(names) == 200
    assert names != sorted(names, key=lambda name: int(name[1:]))  # in random order: labelling may stop anywhere
    assert [r["document"] for r in rows] == [name for name in names for _ in range(4)]
    true = np.mean(
        [any(x.theme == "farmland" for i in range(4) for x in gold[f"p{4 * d + i}"].labels) for d in range(1000)]
    )
    powered = found.of("farmland", "documents")[1]
    assert powered.labelled == 200
    assert powered.low <= true <= powered.high
    assert found.of("farmland")[2].low <= shares(gold)["farmland"] <= found.of("farmland")[2].high


def test_a_sample_is_clustered_by_the_column_that_it_was_drawn_by(made, tmp_path):
    """Left to the default, each paragraph counted as its own document, and intervals were far too narrow."""
    table, gold = corpus(2000)
    place, own = table.column_names.index("document"), table["document"]
    table = table.set_column(place, "document", table["id"]).append_column("input_document", own)
    pyarrow.parquet.write_table(table, tmp_path / "run.parquet")
    run = open_run(tmp_path / "run.parquet")
    rows = draw(run, 200, documents="input_document")
    sample = [Paragraph(r["id"], r["text"], gold[r["id"]].labels, r) for r in rows]
    found = prevalence.estimate(run, sample=sample)
    assert found == prevalence.estimate(run, sample=sample, document="input_document")
    assert found.of("farmland", "documents")[1].labelled == 50
    with pytest.raises(InputError, match="drawn by 'input_document', which 'document' takes apart"):
        prevalence.estimate(run, sample=sample, document="document")
    with pytest.raises(InputError, match="drawn in several ways"):
        prevalence.estimate(run, sample=[replace(sample[0], meta={}), *sample[1:]])
    assert "--document input_document" in each_alone(run, "document")
    assert each_alone(run, "input_document") is each_alone(made[0], "document") is None


def test_rows_without_a_document_are_each_their_own(tmp_path):
    table, gold = corpus(400)
    names = [None if i % 2 else "" if i % 3 else f"d{i // 40}" for i in range(400)]
    table = table.append_column("article", pyarrow.array(names))
    pyarrow.parquet.write_table(table, tmp_path / "run.parquet")
    run = open_run(tmp_path / "run.parquet")
    rows = draw(run, 100, documents="article")
    assert len(rows) < 120
    sample = [Paragraph(r["id"], r["text"], gold[r["id"]].labels, r) for r in rows]
    documents = len({r["article"] or r["id"] for r in rows})
    assert len({unit(p) for p in sample}) == documents
    assert prevalence.estimate(run, sample=sample).of("farmland", "documents")[1].labelled == documents
    with pytest.raises(InputError, match="'labels' is of type list"):
        draw(run, 10, documents="labels")


@pytest.mark.parametrize("documents", [None, "document"])
def test_a_runs_own_columns_do_not_stand_for_the_samples(tmp_path, land_codebook, documents):
    """A corpus with how often each text was read had all its sample refused, once it was labelled."""
    table, gold = corpus(400)
    for name in BY_HAND:
        table = table.append_column(name, pyarrow.array([i % 7 for i in range(400)]))
    pyarrow.parquet.write_table(table, tmp_path / "run.parquet")
    run = open_run(tmp_path / "run.parquet")
    rows = draw(run, 80, documents=documents)
    assert all(row[f"input_{name}"] == int(row["id"][1:]) % 7 for row in rows for name in BY_HAND)
    assert ("stratum" in rows[0]) == (documents is None)
    found = [row | {"labels": [{"theme": x.theme} for x in gold[row["id"]].labels]} for row in rows]
    (tmp_path / "hand.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    sample, _ = read_sample(tmp_path / "hand.jsonl", Codebook.load(land_codebook))
    assert prevalence.estimate(run, sample=sample).of("farmland")[2].labelled == len(rows)
    with pytest.raises(InputError, match="have a 'stratum' of their own"):
        draw(run, 80, documents="stratum")


def test_where_each_paragraph_is_a_document_their_shares_are_one(made):
    run, gold = made
    found = prevalence.estimate(run, sample=labelled(draw(run, 300), gold), document="id")
    assert [e.share for e in found.of("farmland")] == [e.share for e in found.of("farmland", "documents")]


def test_the_frame_has_a_row_for_each_estimate(made):
    found = prevalence.estimate(made[0])
    frame = found.to_frame()
    assert len(frame) == len(found.estimates)
    assert set(frame.way) == {"counted", "adjusted", "powered"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: [*p, p[0]], "is in the sample twice"),
        (lambda p: [Paragraph("x", "", ())], "'x' of the sample is not in the run"),
        (lambda p: [Paragraph("p1", "other", ())], "another text in the run"),
        (lambda p: [Paragraph("p1", "text 1", None)], "is not labelled"),
        (lambda p: [Paragraph("p1", "text 1", (Label("sea"),))], "has theme 'sea'"),
        (lambda p: [*p[1:], Paragraph(p[0].id, p[0].text, ())], "some have none"),
        (lambda p: [Paragraph(x.id, x.text, (), {"stratum": "any 0.50-1.00"}) for x in p], "in another stratum"),
        (lambda p: [Paragraph("p1", "text 1", (), {"stratum": "south"})], "are not those that capthemes sample writes"),
    ],
)
def test_a_sample_that_does_not_fit_is_refused(made, change, message):
    run, gold = made
    with pytest.raises(InputError, match=message):
        prevalence.estimate(run, sample=change(labelled(draw(run, 20), gold)))


def test_an_unknown_column_is_refused(made):
    with pytest.raises(InputError, match="no column 'decade'"):
        prevalence.estimate(made[0], by="decade")


def test_a_sample_stands_for_the_run(made):
    run, _ = made
    rows = draw(run, 300, seed=5)
    assert len({r["id"] for r in rows}) == 300
    assert sum(r["weight"] for r in rows) == pytest.approx(4000, abs=0.5)
    assert all(r["labels"] is None and not {"probabilities", "model"} & r.keys() for r in rows)
    assert rows == draw(run, 300, seed=5)
    assert rows != draw(run, 300, seed=6)
    assert len({r["stratum"] for r in rows[:40]}) > 1  # in random order: labelling may stop anywhere


@pytest.mark.parametrize(
    ("n", "options", "message"),
    [
        (0, {}, "says nothing"),
        (5000, {}, "fewer than"),
        (9, {"theme": "sea"}, "no theme"),
        (9, {"documents": "book"}, "no column 'book'"),
        (9, {"theme": "farmland", "documents": "document"}, "choose one"),
    ],
)
def test_a_sample_that_cannot_be_drawn_is_refused(made, n, options, message):
    with pytest.raises(InputError, match=message):
        draw(made[0], n, **options)


def test_a_labelled_sample_is_a_persons_work_not_a_models_suggestion(made, tmp_path):
    rows = [{**row, "labels": []} for row in draw(made[0], 12)]
    (tmp_path / "hand.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = rounds.read([tmp_path / "hand.jsonl"], Codebook.load())
    assert all(record.annotators == {"hand": ()} and record.suggested is None for record in found)


@pytest.mark.parametrize("options", [{}, {"documents": "document"}])
def test_a_sample_whose_ids_stand_twice_is_refused_before_anybody_labels_it(tmp_path, options):
    table, _ = corpus(40)
    table = table.set_column(0, "id", pyarrow.array([f"r{i % 20}" for i in range(40)]))
    pyarrow.parquet.write_table(table, tmp_path / "run.parquet")
    with pytest.raises(InputError, match=r"the id 'r\d+' stands more than once in the run"):
        draw(open_run(tmp_path / "run.parquet"), 10, **options)


def test_power_is_what_an_interval_of_that_width_takes(made):
    run, gold = made
    needed = {p.theme: p for p in power(run, 0.06)}
    p = np.concatenate([np.asarray(b["probabilities"].flatten()).reshape(-1, 2) for b in run.batches()])
    q = p[:, 0].mean()
    n = (2 * 1.959964 / 0.06) ** 2 * q * (1 - q)
    assert needed["farmland"].by_hand == pytest.approx(n / (1 + n / 4000), rel=0.02)
    rng = np.random.default_rng(0)
    ids = list(gold)
    widths = []
    for _ in range(5):
        drawn = rng.choice(ids, needed["farmland"].by_hand, replace=False)
        found = prevalence.estimate(run, sample=[Paragraph(x, gold[x].text, gold[x].labels) for x in drawn])
        widths.append(found.of("farmland")[2].high - found.of("farmland")[2].low)
    assert np.mean(widths) < 0.062  # without predictions, which narrow it
    rare = needed["industrial_land"]
    for labels, enough in ((rare.by_hand, True), (rare.by_hand - 1, False)):
        n = labels / (1 - labels / 4000)
        low, high = wilson(rare.share * n, n, labels - 1)
        assert (high - low <= 0.06) == enough
    with pytest.raises(InputError, match="width"):
        power(run, 2)
