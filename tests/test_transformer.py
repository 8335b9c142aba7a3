"""The transformer family: what it reads, how it is trained, and its two engines."""

import json

import numpy as np
import pytest

from capthemes.annotations import glossary
from capthemes.codebook import Codebook
from capthemes.errors import AnnotationError, ModelError
from capthemes.families.tokens import WINDOW, Tokens, batches, padded, segmented
from capthemes.families.transformer import SHAPE, TOKENIZER, WEIGHTS, Transformer, allowed_threads


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    from conftest import CODEBOOK

    path = tmp_path_factory.mktemp("book") / "land.md"
    path.write_text(CODEBOOK, encoding="utf-8")
    return Codebook.load(path)


@pytest.fixture(scope="module")
def family(book, land_paragraphs, tiny_encoder):
    return Transformer.fit(land_paragraphs, book, 0, encoder=tiny_encoder)


def test_chinese_is_cut_into_the_longest_words_there_are():
    words = frozenset({"国有", "国有企业", "企业改革"})
    assert segmented("深化国有企业改革 of SOEs，好", words) == "深 化 国有企业 改 革  of SOEs， 好"
    assert segmented("", words) == ""


def test_batches_hold_every_row_once_and_stay_small():
    windows = [[1] * length for length in (5, 250, 7, 256, 256, 3) * 30]
    found = list(batches(windows))
    assert sorted(row for rows in found for row in rows) == list(range(len(windows)))
    assert all(len(rows) * max(len(windows[row]) for row in rows) <= 4096 for rows in found)
    ids, mask = padded([[1, 2, 3], [4]], padding=9)
    assert ids.tolist() == [[1, 2, 3], [4, 9, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]


def test_a_long_text_is_read_in_windows_to_its_end(family):
    tokens = family.tokens
    windows, owners = tokens.windows(["land " * 600, "", "plant"])
    assert owners == [0, 0, 0, 1, 2]
    assert max(map(len, windows)) == WINDOW
    land = tokens.tokenizer.token_to_id("land")
    assert sum(window.count(land) for window in windows[:3]) == 600


def test_an_encoder_without_chinese_learns_the_glossarys_words(family):
    vocabulary = family.tokens.tokenizer.get_vocab()
    assert set(glossary()) <= set(vocabulary)
    ids = family.tokens.windows(["第1块耕地得到保护"])[0][0]
    assert vocabulary["[UNK]"] not in ids
    assert vocabulary["耕地"] in ids


def test_it_learns_themes_of_both_languages(book, land_paragraphs, tiny_encoder, monkeypatch):
    import capthemes.families.encoder as encoder

    monkeypatch.setattr(encoder, "EPOCHS", 20)
    monkeypatch.setattr(encoder, "RATES", {"encoder": 1e-3, "words": 1e-3, "heads": 1e-2})
    found = Transformer.fit(land_paragraphs, book, 0, encoder=tiny_encoder).predict_proba(
        [
            "Plot 77 for a plant was sold cheaply and it helps.",
            "第77块耕地得到保护，效果良好。",
            "The choir sang 9 songs.",
        ]
    )
    assert (found.theme > 0.5).tolist() == [[True, False], [False, True], [False, False]]


def test_both_engines_answer_alike(book, land_paragraphs, family):
    texts = [p.text for p in land_paragraphs] + ["plant " * 700]
    by_torch = Transformer(book, family.files, engine="torch").predict_proba(texts)
    by_onnx = Transformer(book, family.files, engine="onnx").predict_proba(texts)
    for part in ("theme", "stance", "voice"):
        assert np.allclose(getattr(by_torch, part), getattr(by_onnx, part), rtol=0, atol=1e-4)


def test_an_engine_or_an_encoder_that_is_not_there_is_named(book, family, land_paragraphs, tmp_path):
    with pytest.raises(ModelError, match="no engine 'abacus'; there are: onnx, torch"):
        Transformer(book, family.files, engine="abacus").predict_proba(["a"])
    with pytest.raises(ModelError, match="cannot be loaded"):
        Transformer.fit(land_paragraphs, book, 0, encoder=str(tmp_path))
    with pytest.raises(AnnotationError, match="bring at least two"):
        Transformer.fit(land_paragraphs[:1], book, 0)


@pytest.mark.parametrize("damage", [(TOKENIZER, b"{}"), (TOKENIZER, b"\xff"), (SHAPE, b"[]"), (WEIGHTS, None)])
def test_files_that_do_not_fit_are_refused(book, family, tmp_path, damage):
    name, content = damage
    family.save(tmp_path)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError):
        Transformer.load(tmp_path, book)


def test_a_model_for_other_labels_is_refused(book, family, tmp_path):
    family.save(tmp_path)
    shape = json.loads((tmp_path / SHAPE).read_text())
    (tmp_path / SHAPE).write_text(json.dumps({**shape, "themes": 3}))
    with pytest.raises(ModelError, match="are not the codebook's"):
        Transformer.load(tmp_path, book)


def test_an_encoder_that_reads_chinese_keeps_its_own_pieces(tiny_encoder):
    from capthemes.families.encoder import _pretrained, _with_chinese

    serialised, body = _with_chinese(*_pretrained(tiny_encoder))
    again, same = _with_chinese(serialised, body)
    assert again == serialised
    assert same is body
    assert Tokens(serialised).words >= {w for w in glossary() if len(w) == 2}


def test_pieces_of_other_tokenizers_are_not_taken_for_words():
    from tokenizers import Tokenizer, models, normalizers

    unigram = Tokenizer(models.Unigram([("<unk>", 0.0), ("产能", -1.0), ("▁China", -1.0)], unk_id=0))
    assert Tokens(unigram.to_str()).words == frozenset()
    pieces = {"[UNK]": 0, "产能": 1}
    bert = Tokenizer(models.WordPiece(pieces, unk_token="[UNK]"))
    bert.normalizer = normalizers.BertNormalizer(handle_chinese_chars=True)
    assert Tokens(bert.to_str()).words == frozenset()
    bert.normalizer = normalizers.BertNormalizer(handle_chinese_chars=False)
    assert Tokens(bert.to_str()).words == {"产能"}


def test_a_codebook_of_themes_alone_will_do(one_theme, tiny_encoder):
    path, gold = one_theme
    found = Transformer.fit(gold, Codebook.load(path), 0, encoder=tiny_encoder).predict_proba(["第1块耕地", ""])
    assert found.theme.shape == (2, 1)
    assert found.stance is None
    assert found.voice is None


def test_an_encoder_of_another_make_will_do_as_it_is(book, land_paragraphs, tmp_path):
    """An XLM-R of two thin layers, never trained: a Unigram tokenizer that reads Chinese, <pad> at 1."""
    import torch
    import transformers

    own = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [
        *"▁abcdefghijklmnopqrstuvwxyzTAP0123456789.,，。",
        *sorted({c for w in glossary() for c in w}),
        "▁plant",
        "耕地",
    ]
    scored = [*((piece, 0.0) for piece in own), *((piece, -3.0) for piece in dict.fromkeys(pieces)), ("<mask>", 0.0)]
    tokenizer = transformers.XLMRobertaTokenizer(vocab=scored)
    tokenizer.save_pretrained(tmp_path / "encoder")
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = transformers.XLMRobertaConfig(
        vocab_size=len(scored), pad_token_id=1, bos_token_id=0, eos_token_id=2, max_position_embeddings=258, **shape
    )
    torch.manual_seed(0)
    transformers.XLMRobertaModel(config).save_pretrained(tmp_path / "encoder")
    fitted = Transformer.fit(land_paragraphs, book, 0, encoder=str(tmp_path / "encoder"))
    fitted.save(tmp_path)
    loaded = Transformer.load(tmp_path, book)
    assert loaded.tokens.tokenizer.get_vocab() == tokenizer.get_vocab()
    assert loaded.tokens.padding == 1
    windows, _ = loaded.tokens.windows(["第1块耕地", "plant " * 700])
    assert loaded.tokens.tokenizer.token_to_id("耕地") in windows[0]
    assert max(map(len, windows)) == WINDOW
    texts = [p.text for p in land_paragraphs] + ["plant " * 700, ""]
    by_onnx, by_torch = (
        Transformer(book, loaded.files, engine=name).predict_proba(texts) for name in ("onnx", "torch")
    )
    assert by_onnx.stance.shape == (42, 2, 2)
    for part in ("theme", "stance", "voice"):
        assert np.allclose(getattr(by_torch, part), getattr(by_onnx, part), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("told", "threads"), [("1", 1), ("4,2", 0), ("", 0), ("no", 0)])
def test_workers_share_the_cores(told, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert allowed_threads() == threads


def test_special_tokens_in_a_text_are_signs_like_others(family):
    (window,), _ = family.tokens.windows(["land [SEP] [PAD] given"])
    ends = {window[0], window[-1], family.tokens.padding}
    assert not ends & set(window[1:-1])
