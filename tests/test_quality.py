"""The benchmark of the field's methods: peers of one yaml and one function, and sheets that are not stale."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest
from benchmarks import quality, standings
from benchmarks.heads import AbsentError, heads

import capthemes
from capthemes import annotations, plots
from capthemes.codebook import Codebook
from capthemes.errors import InputError
from capthemes.records import Probabilities, theme_matrix

PEERS = sorted(path.name for path in quality.PEERS.iterdir() if (path / "peer.yaml").is_file())


@pytest.fixture(scope="module")
def starter():
    return annotations.paragraphs("starter")


@pytest.fixture(scope="module")
def data(starter):
    return quality.Data(starter[:300], starter[300:450], {"real/dev": starter[450:600]})


def test_every_peer_of_the_issue_is_there():
    assert set(PEERS) >= {
        *("majority", "keywords", "dictionary", "tfidf", "fasttext", "static", "frozen", "setfit", "trainer"),
        *("sentences", "nli", "fast", "accurate"),
    }
    for name in PEERS:
        peer = quality.Peer.load(quality.PEERS / name)
        assert peer.title
        assert peer.what.endswith(".")
        assert all(len(values) > 1 for values in peer.grid.values())
    assert next(quality.Peer.load(quality.PEERS / "tfidf").settings()) == {"C": 3, "words": 1}


def test_the_dictionary_has_every_theme_in_both_languages():
    fit = quality.Peer.load(quality.PEERS / "dictionary").fit
    found = fit([], {"per_length": False})(["Price-wars rage, and price wars; 内卷", "subsidies", "nothing"])
    hits = {name: p for name, p in zip(Codebook.load().names, found.theme.T, strict=True) if p.any()}
    assert set(hits) == {"involution", "state_support"}
    assert hits["involution"] == pytest.approx([3 / 4, 0, 0])
    per_length = fit([], {"per_length": True})(["one two three subsidies"]).theme
    assert per_length.max() == pytest.approx(25 / 26)


def test_the_majority_is_one_label(starter):
    answer = quality.Peer.load(quality.PEERS / "majority").fit(starter, {})(["a", "b"])
    assert answer[0] == answer[1] == [{"theme": "value_chain_upgrading", "stance": "supportive", "voice": "author"}]


def test_words_and_runs_of_ideographs(starter):
    from benchmarks.quality import Peer

    tokens = Peer.load(quality.PEERS / "tfidf").fit.__globals__["tokens"]
    assert list(tokens("Cut steel 产能 now", 2)) == ["cut", "cut steel", "steel", "产", "能", "产能", "now"]
    assert list(tokens("a b", 1)) == ["a", "b"]


def test_heads_learn_what_is_there_to_learn(starter):
    book, part = Codebook.load(), starter[:200]
    X = theme_matrix(part, book.names).astype(float)
    found = heads(X, part, 100.0)(X)
    assert ((found.theme > 0.5) == X.astype(bool)).all()
    assert found.stance.sum(axis=2) == pytest.approx(1)
    assert found.voice.shape == (200, 16, 2)


def test_a_peer_is_searched_trained_decided_and_scored(data, monkeypatch):
    monkeypatch.setattr(quality, "SEARCH_FOLDS", 3)
    asked = []

    def fit(training, settings):
        asked.append((len(training), settings))
        by_text = {p.text: p for p in [*data.training, *data.dev, *data.scored["real/dev"]]}
        book = Codebook.load()

        def predict(texts):
            truth = theme_matrix([by_text[text] for text in texts], book.names)
            told = truth if settings["awake"] else np.zeros_like(truth)
            return Probabilities(book.names, (), (), 0.1 + 0.8 * told)

        return predict

    peer = quality.Peer("p", "P", "knows.", fit, {"awake": [False, True]}, {"more": 1}, 100)
    result = quality.measured(peer, data)
    assert result["settings"] == {"awake": True, "more": 1}
    assert [row["micro_f1"] for row in result["searched"]] == [pytest.approx(result["searched"][0]["micro_f1"]), 1]
    assert [size for size, _ in asked] == [100, 100, 300]
    assert result["scores"]["real/dev"]["micro_f1"]["value"] == 1
    assert result["scores"]["real/dev"]["theme_stance_f1"] is None
    assert np.sum(result["counts"]["real/dev"], axis=0).tolist()[1:] == [0, 0]
    assert len(result["counts"]["real/dev, Chinese"]) < len(result["counts"]["real/dev"])


def test_a_three_line_peer_is_measured_from_its_folder(data, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "peer.yaml").write_text("title: Mine\nwhat: Says nothing.\n")
    (folder / "peer.py").write_text("def fit(training, settings):\n    return lambda texts: [[] for _ in texts]\n")
    monkeypatch.setattr(quality.Data, "gather", classmethod(lambda cls, real: data))
    monkeypatch.setattr(quality, "RESULTS", tmp_path / "results")
    quality.measure(tmp_path, ["mine", "nli"], [folder], None)
    shown = capsys.readouterr().out
    assert "mine: " in shown
    assert "nli: skipped, no language-inference model at hand" in shown
    result = json.loads((tmp_path / "results" / "mine.json").read_text(encoding="utf-8"))
    assert result["scores"]["real/dev"]["exact"]["value"] > 0
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["mine.json"]


def peer_folder(folder, fit="return lambda texts: [[] for _ in texts]", more=""):
    folder.mkdir()
    (folder / "peer.yaml").write_text(f"title: {folder.name.title()}\nwhat: Says nothing.\n{more}")
    (folder / "peer.py").write_text(f"import capthemes\n\n\ndef fit(training, settings):\n    {fit}\n")
    return folder


@pytest.mark.parametrize("fit", ["return lambda texts: [settings['all']] * len(texts)", "return capthemes.load()"])
def test_labels_and_models_are_searched_as_probabilities_are(data, tmp_path, fit):
    grid = "settings:\n  all: [[], [value_chain_upgrading]]\nfixed:\n  more: 1\nsearch_on: 50\n"
    result = quality.measured(quality.Peer.load(peer_folder(tmp_path / "mine", fit, grid)), data)
    assert len(result["searched"]) == 2
    assert result["search_on"] == 50
    best = max(result["searched"], key=lambda row: row["micro_f1"])
    assert result["settings"] == best["settings"]
    assert result["scores"]["real/dev"]["micro_f1"]["value"] > 0


@pytest.mark.parametrize("answers", ["[[]]", "__import__('capthemes').load().predict(texts).probabilities[:1]"])
def test_too_few_answers_are_told_of(data, tmp_path, answers):
    peer = quality.Peer.load(peer_folder(tmp_path / "mine", f"return lambda texts: {answers}"))
    with pytest.raises(InputError, match="mine answers 1 for 150 texts"):
        quality.measured(peer, data)


def test_who_is_measured(tmp_path, monkeypatch):
    mine = peer_folder(tmp_path / "mine")
    assert sorted(folder.name for folder in quality.chosen([], [])) == PEERS
    assert quality.chosen([], [mine]) == [mine]
    assert [folder.name for folder in quality.chosen(["nli"], [mine])] == ["nli", "mine"]
    with pytest.raises(InputError, match="no peer 'slow'; there are: accurate"):
        quality.chosen(["slow"], [])
    with pytest.raises(InputError, match=r"none: no peer\.yaml"):
        quality.chosen([], [tmp_path / "none"])
    with pytest.raises(InputError, match="add --real FOLDER"):
        standings.run(None, ["fast"])
    monkeypatch.chdir(mine)
    assert quality.Peer.load(quality.Path()).name == "mine"
    (mine / "peer.py").unlink()
    with pytest.raises(AbsentError, match=r"no peer\.py"):
        quality.Peer.load(mine)


def test_without_dev_jsonl_the_other_sets_are_scored(tmp_path):
    (tmp_path / "pool.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "unlabelled.jsonl.gz").write_bytes(gzip.compress(b""))
    assert set(quality.Data.gather(tmp_path).scored) == {"references/test", "written/test"}
    (tmp_path / "dev.jsonl").write_text('{"text": "a", "labels": []}\n')
    assert set(quality.Data.gather(tmp_path).scored) == {"real/dev", "references/test", "written/test"}


def test_nothing_of_the_texts_is_kept(data):
    peer = replace(quality.Peer.load(quality.PEERS / "keywords"), grid={})
    kept = json.dumps(quality.measured(peer, data), ensure_ascii=False)
    assert not any(p.text[:20] in kept or p.id in kept for p in data.scored["real/dev"])


def test_an_nli_model_that_is_not_there_is_told_of():
    with pytest.raises(AbsentError, match="--nli"):
        quality.Peer.load(quality.PEERS / "nli").fit([], {"encoder": None})


def result(data, counts, value):
    """What the table of leads reads of a result, alike for all sets."""
    names = [f"{name}, {language}" for name in standings.REAL for language in quality.LANGUAGES]
    return {"title": value, "data": data, "counts": dict.fromkeys(names, counts)}


def test_leads_are_of_results_on_the_same_sets():
    ours, theirs = [[2, 0, 0]] * 20, [[1, 1, 1]] * 20
    found = {"fast": result("new", ours, "Fast"), "same": result("new", theirs, "Same")}
    alone = list(standings._leads(found))
    cell = "+0.50 [+0.50, +0.50], p < 0.001"
    assert f"| Same | {' | '.join([cell] * 4)} |" in alone
    found |= {"old": result("old", theirs, "Old"), "fewer": result("new", theirs[:9], "Fewer")}
    lines = list(standings._leads(found))
    assert lines[:3] == alone[:3]  # and Holm's correction counts none of the others
    assert lines[3:5] == ["| Old | - | - | - | - |", "| Fewer | - | - | - | - |"]
    assert lines[-1] == "A dash: not scored on the same paragraphs as `fast` (Old, Fewer)."


def test_leads_are_of_results_on_the_very_same_documents():
    """Nine documents of two gold labels, and nine of which one has three."""
    found = {
        "fast": result("new", [[2, 0, 0]] * 9, "Fast"),
        "moved": result("new", [[1, 1, 1]] * 8 + [[1, 1, 2]], "Moved"),
        "same": result("new", [[1, 1, 1]] * 9, "Same"),
    }
    lines = list(standings._leads(found))
    assert "| Moved | - | - | - | - |" in lines
    assert lines[-1] == "A dash: not scored on the same paragraphs as `fast` (Moved)."


def test_where_either_of_ours_does_not_lead_is_said():
    half, most, all_ = ([[n, 2 - n, 2 - n]] * 20 for n in (0, 1, 2))
    found = {"accurate": result("d", all_, "A"), "p": result("d", most, "P"), "fast": result("d", half, "F")}
    lines = list(standings._leads(found))
    assert "The difference's interval is above zero against every peer." in lines
    assert lines[-1].startswith("`fast` less each peer: the difference's interval is not above zero against: P on real")
    found["fast"]["counts"] = found["accurate"]["counts"]
    assert list(standings._leads(found))[-1].endswith(
        "less each peer: the difference's interval is above zero against every peer."
    )


def test_every_score_of_a_peer_is_signed(data, tmp_path):
    folder = peer_folder(tmp_path / "mine")
    peer = quality.Peer.load(folder)
    found = quality.measured(peer, data)
    signed = found["signature"]
    assert signed.keys() == found["scores"].keys()
    sha = annotations.fingerprint(data.scored["real/dev"])[:12]
    told = f"data:real/dev@{sha}|model:mine@{peer.version}|codebook:{Codebook.load().version}|seed:0|bootstrap:1000|"
    assert signed["real/dev"].startswith(told)
    shown = {**found, "signature": {standings.SIGNED: "data:x"}}
    assert list(standings._settings({"mine": shown})) == ["- Mine: Says nothing. Signed `data:x`."]


def test_the_sheet_says_what_was_searched_and_what_is_stale():
    whole = standings.results()["keywords"]
    kept = {
        **whole,
        "data": quality.data_now(),
        "rest": quality.rest_now(),
        "peer": quality.folder_now(quality.PEERS / "keywords"),
    }
    del kept["scores"]["real/dev, English"]
    row = list(standings._scores({"keywords": kept}))[2]
    assert row.startswith("| Keyword list | - | 0.")
    assert row.endswith("| none |")
    row = list(standings._scores({"keywords": {**kept, "peer": "0" * 12}}))[2]
    assert row.endswith("| none, measured with another version |")
    row = list(standings._scores({"keywords": {**kept, "rest": "0" * 12}}))[2]
    assert row.endswith("| none, before the codebook, the written texts or the peers' shared code changed |")
    for name, told in (("fast@000000000000", True), (standings.shipped_id("fast"), False), ("other@0", False)):
        assert standings._changed("elsewhere", {"model": name}) == told
    assert standings.shipped_id("fast") == capthemes.load("fast").id
    tried = [{"settings": {"C": c, "pairs": [4]}} for c in (3, 30)]
    searched = {"title": "T", "what": "W.", "settings": {"C": 30, "pairs": [4]}, "searched": tried, "search_on": 1500}
    assert list(standings._settings({"t": searched})) == [
        "- T: W. Searched: C 3, 30, on at most 1,500 paragraphs. Best: C 30. Fixed: pairs [4]."
    ]


def test_the_tables_show_what_was_measured_last():
    sheet = standings.SHEET.read_text(encoding="utf-8")
    assert standings.rendered(sheet) == sheet, "python -m benchmarks quality"
    assert "| Keyword list |" in sheet
    assert all(f"| {found['title']} |" in sheet for found in standings.results().values())


@pytest.mark.parametrize("name", ["themes", "reliability", "stances", "speed", "curve"])
def test_the_pictures_show_what_was_measured_last(name):
    assert plots.described(standings.PLOTS / f"{name}.png") == standings.fingerprint(), "python -m benchmarks quality"
