"""The peers that train an encoder, at a size that takes seconds."""

import numpy as np
import pytest
from benchmarks import minilm, quality

from capthemes import annotations
from capthemes.records import Probabilities


@pytest.fixture
def _tiny(tiny_encoder, monkeypatch):
    """The peers' encoder is a tiny one."""
    pretrained = minilm._pretrained
    monkeypatch.setattr(minilm, "_pretrained", lambda _: pretrained(tiny_encoder))


def answers(name, settings, tiny_encoder=None):
    training = annotations.paragraphs("starter")[:40]
    fit = quality.Peer.load(quality.PEERS / name).fit
    if tiny_encoder:
        fit.__globals__["ENCODER"] = tiny_encoder
    found = fit(training, settings)([p.text for p in training[:6]])
    assert isinstance(found, Probabilities)
    assert found.theme.shape == (6, 16)
    assert ((found.theme >= 0) & (found.theme <= 1)).all()
    return found


@pytest.mark.usefixtures("_tiny")
@pytest.mark.parametrize("chinese", [False, True])
def test_an_encoder_reads_to_the_mean_of_its_last_layer(chinese):
    import torch

    encoder = minilm.Encoder(chinese)
    texts = ["land and plant", "产能过剩", "land and plant"]
    found = encoder.read(texts)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)
    assert (found[0] == found[2]).all()
    ids = torch.tensor([encoder.first_windows(texts[:1])[0]])
    with torch.inference_mode():
        mean = encoder.body(input_ids=ids).last_hidden_state.mean(dim=1)[0].double().numpy()
    assert found[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)
    assert bool(encoder.tokens.words) == chinese
    assert encoder.spaced("钢铁产能") == ("钢铁 产能" if chinese else "钢铁产能")


@pytest.mark.usefixtures("_tiny")
def test_frozen_and_sentences():
    answers("frozen", {"C": 3, "chinese": False})
    assert answers("sentences", {"chinese": False}).stance.sum(axis=2) == pytest.approx(1)


@pytest.mark.usefixtures("_tiny")
def test_static_vectors():
    pytest.importorskip("model2vec")
    answers("static", {"C": 3, "chinese": False, "dimensions": 8})


@pytest.mark.usefixtures("_tiny")
def test_setfit_tunes_on_pairs():
    training = annotations.paragraphs("starter")[:40]
    drawn = quality.Peer.load(quality.PEERS / "setfit").fit.__globals__["drawn_pairs"]
    themes = [{x.theme for x in p.labels} for p in training]
    pairs = list(drawn(training, 40, np.random.default_rng(0)))
    assert len(pairs) == 40
    assert all((themes[a] == themes[b]) if same else not themes[a] & themes[b] for a, b, same in pairs)
    answers("setfit", {"pairs": 32, "rate": 1e-3, "chinese": False, "C": 3})


@pytest.mark.usefixtures("_tiny")
@pytest.mark.filterwarnings("ignore")
def test_trainer_trains(tiny_encoder):
    pytest.importorskip("accelerate")
    answers("trainer", {"epochs": 1, "learning_rate": 1e-3, "chinese": False}, tiny_encoder)


def test_fasttext_learns():
    pytest.importorskip("fasttext")
    settings = {"epoch": 500, "lr": 1.0, "wordNgrams": 1, "dim": 10, "minCount": 1}
    found = answers("fasttext", settings)
    training = annotations.paragraphs("starter")[:6]
    themes = [{x.theme for x in p.labels} for p in training]
    assert sum(found.themes[row.argmax()] in t for row, t in zip(found.theme, themes, strict=True)) >= 4
