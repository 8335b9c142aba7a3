from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capthemes.text import normalise, paragraphs, script, scripts, sentences

ANY = st.text(st.characters(codec=None), max_size=200)


@given(ANY)
def test_nothing_crashes_and_normal_form_is_stable(text):
    once = normalise(text)
    assert once.encode().decode() == once
    assert script(text) in ("en", "zh")
    assert "\x00" not in once
    assert all(p == p.strip() != "" for p in paragraphs(text))


def test_normal_form():
    assert normalise("ＡＢ Ｃ\x00１２") == "ab c 12"
    assert normalise("a\ud800b") == "a?b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Steel mills", "en"),
        ("钢铁企业", "zh"),
        ("GDP 与 PMI 双双回升，企业信心增强", "zh"),
        ("The policy (产能合作) was announced in June by the ministry", "en"),
        ("", "en"),
        ("\U00020000\U00020001", "zh"),
    ],
)
def test_script(text, expected):
    assert script(text) == expected


@settings(deadline=None)
@given(st.lists(st.text(st.one_of(st.sampled_from("产能 abÀɏ\U00020000"), st.characters(codec="utf-8")))))
def test_arrow_tells_scripts_alike(texts):
    assert scripts(pa.array(texts, pa.string())).to_pylist() == [script(text) for text in texts]


def test_blank_lines_part_paragraphs_and_windows_line_ends_do_not_matter():
    assert paragraphs("One.\r\n\r\n\r\nTwo.\r\n") == ["One.", "Two."]
    assert paragraphs(" \n\t\n") == []


def test_lines_wrapped_to_a_width_are_joined():
    wrapped = (
        "The mills of the province were told to cut their output\n"
        "by a tenth before the end of the year, and to report the\n"
        "figures each month."
    )
    assert paragraphs(wrapped) == [wrapped.replace("\n", " ")]
    chinese = (
        "各地区要认真清理现行招商引资优惠政策凡与公平竞争审查要求不符的\n"
        "一律停止执行并于年底前将清理情况报送省级市场监督管理部门汇总研\n"
        "究处理。"
    )
    assert paragraphs(chinese) == [chinese.replace("\n", "")]


def test_lines_that_end_as_paragraphs_do_are_paragraphs():
    first, second = "The first paragraph ends here.", "The second one is a good deal longer than the first, and ends."
    document = f"A headline\n{first}\n{second}"
    assert paragraphs(document) == document.split("\n")


def test_markdown_marks_and_front_matter_go():
    document = "---\ntitle: x\n---\n# Heading\n\n> Quoted text.\n\n- item one\n- item two\n"
    assert paragraphs(document, markdown=True) == ["Heading", "Quoted text.", "item one", "item two"]


def test_an_empty_bullet_joins_no_paragraphs():
    assert paragraphs("One stands here.\n-\n\nAnother there.", markdown=True) == ["One stands here.", "Another there."]


@given(ANY)
def test_sentences_cover_the_text_in_order(text):
    bounds = sentences(text)
    assert all(start < stop for start, stop in bounds)
    assert all(a[1] <= b[0] for a, b in pairwise(bounds))
    assert "".join(text[a:b] for a, b in bounds).split() == text.split() or "".join(
        "".join(text[a:b] for a, b in bounds).split()
    ) == "".join(text.split())


def test_sentences_in_both_languages():
    text = "Output fell by 3.5 per cent. “Prices will recover.” Nobody agreed."
    assert [text[a:b] for a, b in sentences(text)] == [
        "Output fell by 3.5 per cent.",
        "“Prices will recover.”",
        "Nobody agreed.",
    ]
    text = "产能过剩。“必须去产能。”企业不同意！"
    assert [text[a:b] for a, b in sentences(text)] == ["产能过剩。", "“必须去产能。”", "企业不同意！"]
