"""The report: shares held to their definitions, and a page that holds nothing but what the template put there."""

import json
import re
import shutil
import subprocess
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from scipy.stats import binomtest

import capthemes
from capthemes.annotations import fingerprint
from capthemes.cli import main
from capthemes.errors import InputError, ModelError
from capthemes.prevalence import estimate
from capthemes.records import Label, label_type
from capthemes.report import charts
from capthemes.report.clearest import clearest, marked
from capthemes.report.page import write_report
from capthemes.report.rows import NONE, gather
from capthemes.report.shares import FEW, Counted, counted
from capthemes.runs import open_run
from capthemes.sampling import draw
from conftest import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FORMS = [
    "<script>document.title='hit'</script>",
    "<img src=x onerror=\"document.title='hit'\">",
    "\"><svg onload=document.title='hit'>",
    "' onfocus='document.title=1' autofocus='",
    "</style><script>document.title='hit'</script>",
    "</pre></details></blockquote><iframe srcdoc='<script>top.document.title=1</script>'></iframe>",
    "<a href=\"javascript:document.title='hit'\">x</a>",
    "<base href=//evil.example><form action=//evil.example><input autofocus onfocus=document.title='hit'>",
    "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "<meta http-equiv=refresh content='0;url=//evil.example'><link rel=stylesheet href=//evil.example/x.css>",
    "&lt;script&gt;alert(1)&lt;/script&gt;&#x3c;script&#x3e;",
    "\u202e<math><mtext></table><mglyph><style><img src onerror=alert(1)>\u2028",
    "]]><!--<img title=\"--><script>document.title='hit'</script>\">",
]
HOSTILE = [f"{form} no. {i}" for i in range(42) for form in FORMS][:500]


def run_of(path: Path, rows: list[dict], model: str = "other@000000000000") -> Path:
    """A labelled file of these rows, as `capthemes label` would write it."""
    book = capthemes.Codebook.load()
    names = book.names
    labels = pyarrow.array([[asdict(label) for label in row.pop("labels")] for row in rows], label_type())
    table = pyarrow.Table.from_pylist(
        [{"lang": "en", "position": 0, "document": f"d{i}", **row} for i, row in enumerate(rows)]
    )
    flat = pyarrow.array(np.zeros(len(rows) * len(names), dtype=np.float32))
    table = table.append_column("labels", labels)
    table = table.append_column("probabilities", pyarrow.FixedSizeListArray.from_arrays(flat, len(names)))
    table = table.append_column("model", pyarrow.array([model] * len(rows)))
    table = table.append_column("schema", pyarrow.array([2] * len(rows), pyarrow.int32()))
    pyarrow.parquet.write_table(
        table.replace_schema_metadata(
            {"themes": json.dumps(names), "stances": json.dumps([*book.stances]), "voices": json.dumps([*book.voices])}
        ),
        path,
    )
    return path


@pytest.fixture(scope="session")
def labelled(tmp_path_factory, fast) -> Path:
    """The examples, labelled."""
    path = tmp_path_factory.mktemp("run") / "examples.parquet"
    capthemes.label_corpus([ROOT / "examples"], path, model=fast)
    return path


def label(theme: str, stance: str = "neutral", p: float = 0.9) -> Label:
    return Label(theme, stance, "author", p)


# Shares


def test_single_paragraphs_have_wilsons_interval_but_for_the_t_quantile():
    having = np.arange(1000) < 130
    share = counted(having, np.arange(1000))
    known = binomtest(130, 1000).proportion_ci(method="wilson")
    assert share.share == 0.13
    assert (share.low, share.high) == pytest.approx((known.low, known.high), abs=2e-4)


def test_paragraphs_that_repeat_their_document_count_once():
    one = counted(np.arange(100) < 20, np.arange(100))
    ten = counted(np.repeat(np.arange(100) < 20, 10), np.repeat(np.arange(100), 10))
    assert (ten.count, ten.of) == (200, 1000)
    assert (ten.low, ten.high) == pytest.approx((one.low, one.high), abs=1e-9)


def test_few_documents_have_no_interval_and_none_at_all_has_an_upper_end():
    few = counted(np.ones(90, dtype=bool), np.arange(90) % (FEW - 1))
    assert (few.low, few.high) == (None, None)
    none = counted(np.zeros(600, dtype=bool), np.repeat(np.arange(60), 10))
    assert none.low == 0
    assert none.high == counted(np.zeros(60, dtype=bool), np.arange(60)).high > 0.05


def test_intervals_cover_the_share_of_clustered_documents():
    """Beta-binomial documents of unequal length; nominal 0.95, at least 0.93 wanted."""
    rng = np.random.default_rng(0)
    hits = tries = 0
    for _ in range(400):
        sizes = rng.integers(1, 20, size=80)
        documents = np.repeat(np.arange(80), sizes)
        having = rng.random(len(documents)) < rng.beta(0.15 * 4, 0.85 * 4, size=80)[documents]
        share = counted(having, documents)
        hits += share.low <= 0.15 <= share.high
        tries += 1
    assert hits / tries >= 0.93


# Rows


def test_rows_by_hand(tmp_path):
    path = run_of(
        tmp_path / "r.parquet",
        [
            {"id": "a", "text": "abc", "year": "2021-05-01", "labels": (label("involution"), label("overcapacity"))},
            {"id": "b", "text": "", "year": None, "labels": ()},
            {"id": "c", "text": "x", "year": "2019.0", "labels": (Label("involution", None, None, 0.5),)},
        ],
    )
    rows = gather(open_run(path), ["year", "id"])
    assert rows.row_of.tolist() == [0, 0, 2]
    assert [rows.themes[t] for t in rows.theme_of] == ["involution", "overcapacity", "involution"]
    assert rows.stance_of.tolist()[2] == NONE == rows.voice_of.tolist()[2]
    assert rows.lengths.tolist() == [3, 0, 1]
    year, ids = rows.columns
    assert (year.values, year.codes.tolist(), year.time) == (("2019", "2021"), [1, NONE, 0], True)
    assert (ids.values, ids.time) == (("a", "b", "c"), False)
    assert rows.having(rows.themes.index("involution")).tolist() == [True, False, True]


def test_paragraphs_without_a_document_are_each_their_own(tmp_path):
    """All of them were one document, and of two only one was shown."""
    books = [None, None, "x", "", "x"]
    rows = [
        {"id": f"p{i}", "text": f"t{i}", "book": book, "labels": (label("involution"),)} for i, book in enumerate(books)
    ]
    run = open_run(run_of(tmp_path / "r.parquet", rows))
    found = gather(run, document="book")
    assert len(set(found.documents.tolist())) == 4
    shown = clearest(run, found, "book", None)["involution"]["neutral"]
    assert [example.document for example in shown] == ["paragraph p0", "paragraph p1"]


def test_dates_within_two_years_are_months(tmp_path):
    rows = [{"id": str(m), "text": "x", "day": f"2021-{m:02d}-03T10:00:00", "labels": ()} for m in (11, 2)]
    (column,) = gather(open_run(run_of(tmp_path / "r.parquet", rows)), ["day"]).columns
    assert (column.values, column.codes.tolist()) == (("2021-02", "2021-11"), [1, 0])


@pytest.mark.parametrize(("by", "document"), [(["weather"], "document"), ([], "weather")])
def test_a_column_that_is_not_there_is_named(labelled, by, document):
    with pytest.raises(InputError, match="no column 'weather'; it has: id, lang, document"):
        gather(open_run(labelled), by, document)


# Charts


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0%"), (0.0012, "0.12%"), (0.034, "3.4%"), (0.123, "12%"), (1, "100%"), (None, "–")]
)
def test_percent(value, words):
    assert charts.percent(value) == words


def test_scales_end_at_round_numbers():
    assert [charts.top_of([v]) for v in (0.0, 0.017, 0.02, 0.31, 0.99)] == pytest.approx([0.01, 0.02, 0.02, 0.5, 1.0])
    assert charts.top_of([]) == pytest.approx(0.01)


def test_marks_stand_where_the_numbers_say():
    assert 'width="50.00%"' in charts.whisker(Counted(1, 10, 0.05, 0.15), 0.2)
    assert 'x1="25.00%" x2="75.00%"' in charts.whisker(Counted(1, 10, 0.05, 0.15), 0.2)
    assert "line" not in charts.whisker(Counted(1, 10, None, None), 0.2)
    assert charts.whisker(Counted(1, 10, 0.05, 0.15), 0.2, Counted(3, 20, 0.1, 0.2)).count("<rect") == 2
    assert re.findall(
        r'class="(p\d)" x="([\d.]+)%" y="3" width="([\d.]+)%"', charts.stack([("p0", 1), ("p1", 0), ("p2", 3)])
    ) == [
        ("p0", "0.00", "25.00"),
        ("p2", "25.00", "75.00"),
    ]


def test_a_trend_is_broken_where_a_period_is_not_told():
    told = Counted(5, 50, 0.05, 0.2)
    drawn = charts.trend(["2019", "2020", "2021", "<b>"], [told, told, None, told], 0.2)
    assert drawn.count("<polyline") == 2
    assert drawn.count("<circle") == 3
    assert "&lt;b&gt;" in drawn


def test_marked_text_is_escaped_and_cut():
    shown = marked("a <b> & c", [capthemes.Span(2, 5, 1.0)])
    assert shown == "a <mark>&lt;b&gt;</mark> &amp; c"
    assert marked("abcdef", [capthemes.Span(0, 2, 1.0), capthemes.Span(3, 5, 1.0)], 4) == "<mark>ab</mark>cd…"


# The page


class Page(HTMLParser):
    """Tags, attributes, ids, targets and text of a page; what is active among them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.active: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.text: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.targets.append(value or "")
            plain = name == "style" and re.fullmatch(r"--v:[\d.]+", value or "")
            if name.startswith("on") or name in {"src", "srcdoc", "action", "formaction", "autofocus", "xlink:href"}:
                self.active.append(f"{tag} {name}")
            if (name == "style" and not plain) or (name == "href" and not (value or "").startswith("#")):
                self.active.append(f"{tag} {name}={value}")
        if tag not in PASSIVE:
            self.active.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


PASSIVE = re.findall(
    r"\w+",
    "html head meta title style body a header nav ul li main section h1 h2 h3 "
    "h4 p dl dt dd div span strong table caption thead tbody tr th td svg "
    "rect line circle polyline polygon text figure figcaption details summary blockquote footer mark bdi pre code "
    "br q ",
)


def test_the_page_has_everything_asked_for(labelled, tmp_path):
    assert write_report(labelled, tmp_path / "r.html", by=["lang"]) == []
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    page, text = Page(html), " ".join(Page(html).text)
    assert page.active == []
    for title in (
        "How often each theme occurs",
        "By lang",
        "Stance toward each theme",
        "Whose voice carries it",
        "Which themes stand together",
        "The clearest paragraphs",
        "What was left out",
        "What kind of text this is",
        "Methods, for quotation",
    ):
        assert title in re.sub(r"\s+", " ", text)
    assert "not estimates of what the text says" in text
    assert "<mark>" in html
    assert re.search(r"run:examples.parquet@[0-9a-f]{12}\|paragraphs:17\|model:fast@[0-9a-f]{12}\|capthemes:", text)
    assert "@software{capthemes," in text
    assert "http" not in html.replace("http-equiv", "")
    assert "<script" not in html


def test_the_page_can_be_walked_by_keyboard_and_ear(labelled, tmp_path):
    write_report(labelled, tmp_path / "r.html", by=["lang"])
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert {target.removeprefix("#") for target in page.targets} <= set(page.ids)
    assert page.tags.count("h1") == 1
    assert page.tags.count("main") == 1
    assert 'lang="en"' in html
    assert 'lang="zh"' in html
    assert all('aria-hidden="true"' in mark for mark in re.findall(r"<svg class[^>]*>|<ul class=.key.[^>]*>", html))
    assert html.count('class="scroll"') == html.count('tabindex="0"')
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


@pytest.fixture(scope="module")
def hostile_pages(tmp_path_factory) -> list[Path]:
    """Five pages on 500 payloads, each as a text, an id, a document's name and a column's value; some name columns."""
    tmp_path = tmp_path_factory.mktemp("hostile")
    names, pages = capthemes.Codebook.load().names, []
    cells = [(name, stance) for name in names for stance in ("supportive", "critical", "mixed", "neutral")]
    for start in range(0, len(HOSTILE), 100):
        part = HOSTILE[start : start + 100]
        columns = [part[i] for i in range(0, 100, 8)]
        rows = [
            {"id": p, "text": f"{p} overcapacity", "document": p, "labels": (label(*cells[i % 64]),)}
            | {name: part[(i % 8 + 8 * c) % 100] for c, name in enumerate(columns)}
            for i, p in enumerate(part)
        ]
        run, page = run_of(tmp_path / f"r{start}.parquet", rows), tmp_path / f"{start}.html"
        write_report(run, page, by=columns, title=part[0])
        pages.append(page)
    return pages


def test_500_hostile_payloads_give_no_active_node(hostile_pages):
    pages = [Page(path.read_text(encoding="utf-8")) for path in hostile_pages]
    assert [page.active for page in pages] == [[]] * 5
    text = "".join(part for page in pages for part in page.text)
    assert len(set(HOSTILE)) == 500
    assert [payload for payload in HOSTILE if payload.replace("_", " ") not in text.replace("_", " ")] == []


def test_a_report_without_its_model_says_so(tmp_path):
    path = run_of(tmp_path / "r.parquet", [{"id": "a", "text": "x", "labels": (label("involution"),)}])
    (line,) = write_report(path, tmp_path / "r.html")
    assert line.startswith("Model other@000000000000 is not at hand")
    assert line in (tmp_path / "r.html").read_text(encoding="utf-8")
    with pytest.raises(ModelError, match="labelled by other@000000000000, not by fast@"):
        write_report(path, tmp_path / "s.html", model="fast")


def test_estimates_of_a_sample_and_the_drift_have_their_place(labelled, tmp_path):
    run = open_run(labelled)
    sample = [
        capthemes.Paragraph(row["id"], row["text"], (), {"stratum": row["stratum"], "weight": row["weight"]})
        for row in draw(run, 12)
    ]
    write_report(labelled, tmp_path / "r.html", sample=sample)
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"|sample:12@{fingerprint(sample)[:12]}|capthemes:" in html
    assert "rest on 12 paragraphs of the run, drawn at random and labelled by hand" in html
    involution = estimate(run, sample=sample).best("involution")
    assert f"{charts.percent(involution.low)} to {charts.percent(involution.high)}" in html
    assert "with the estimate from a hand-labelled sample below it" in html
    assert "of paragraphs are far from what the model was trained on" in html
    assert "has not been measured here" not in html
    narrow = [replace(p, meta={**p.meta, "read": ["involution"]}) for p in sample]
    write_report(labelled, tmp_path / "s.html", sample=narrow)
    html = (tmp_path / "s.html").read_text(encoding="utf-8")
    assert html.count('class="estimated"') == 1  # of what was not read for a theme there is no estimate
    assert f"{charts.percent(involution.low)} to {charts.percent(involution.high)}" in html


def test_the_strangest_paragraphs_are_listed(tmp_path):
    rows = [{"id": f"<b>{i}", "text": f"Whisk {'butter, sugar, vanilla ' * 5} gently {i}."} for i in range(7)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    capthemes.label_corpus([tmp_path / "rows.jsonl"], tmp_path / "run.parquet")
    write_report(tmp_path / "run.parquet", tmp_path / "r.html")
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    listed = re.search(r"The strangest of the paragraphs looked at, .* do not exceed: (.*)\.</p>", html)[1]
    assert all(re.fullmatch(r"<bdi>&lt;b&gt;\d</bdi> \d+\.\d \(\d+\.\d\)", one) for one in listed.split(", "))
    assert len(listed.split(", ")) == 5


def test_rows_that_could_not_be_read_are_told_of_files_as_of_folders(tmp_path):
    """Of a file it said that there was none."""
    lines = [json.dumps({"text": f"Steel mills cut output {i}."}) for i in range(4)]
    (tmp_path / "rows.jsonl").write_text("\n".join([*lines, "{broken", "[]"]), encoding="utf-8")
    said = []
    for output in ("run.parquet", "run"):
        capthemes.label_corpus([tmp_path / "rows.jsonl"], tmp_path / output, on_error="skip")
        write_report(tmp_path / output, page := tmp_path / f"{output}.html")
        shown = page.read_text(encoding="utf-8")
        said.append("2 rows of the input could not be read" in shown and "not JSON" in shown)
    assert said == [True, True]
    begun = tmp_path / ".run.parquet.run" / ".run"
    begun.mkdir(parents=True)
    (begun / "run.json").write_text('{"state": "begun"}', encoding="utf-8")
    write_report(tmp_path / "run.parquet", tmp_path / "again.html")  # whose rejects these are nobody knows
    assert "all were read, or the list is elsewhere" in (tmp_path / "again.html").read_text(encoding="utf-8")


def test_scores_are_told_with_the_paragraphs_they_are_of(tmp_path, land_codebook, land_paragraphs):
    """A model of one's own has no published paragraphs, and cross-validation none that were held apart."""
    book = capthemes.Codebook.load(land_codebook)
    model = capthemes.train({"land": land_paragraphs}, name="land", family="linear", codebook=book)
    model.save(tmp_path / "land")
    capthemes.label_corpus(capthemes.Rows([p.text for p in land_paragraphs]), tmp_path / "r.parquet", model=model)
    sample = draw(open_run(tmp_path / "r.parquet"), 12)
    gold = {p.text: [{"theme": x.theme} for x in p.labels] for p in land_paragraphs}
    rows = [{**row, "labels": gold[row["text"]] if place else None} for place, row in enumerate(sample)]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = ["report", str(tmp_path / "r.parquet"), "--sample", str(tmp_path / "s.jsonl")]
    own = ["-m", str(tmp_path / "land"), "-o", str(tmp_path / "r.html")]
    assert main([*command, *own]) == 0
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "published" not in html
    assert "had not seen" not in html
    assert html.count("On land, 5-fold cross-validation (40 paragraphs), ") == 2
    assert "rest on 11 paragraphs" in html
    assert main([*command, "--codebook", str(land_codebook), "-o", str(tmp_path / "s.html")]) == 0


def test_one_theme_is_not_themes(tmp_path, one_theme):
    path, paragraphs = one_theme
    model = capthemes.train({"one": paragraphs}, name="one", family="linear", codebook=capthemes.Codebook.load(path))
    capthemes.label_corpus(capthemes.Rows([p.text for p in paragraphs]), tmp_path / "r.parquet", model=model)
    write_report(tmp_path / "r.parquet", tmp_path / "r.html", model=model)
    assert "(1 theme)" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_nothing_labelled_and_nothing_at_all(tmp_path):
    path = run_of(tmp_path / "r.parquet", [{"id": str(i), "text": "", "year": 2020, "labels": ()} for i in range(3)])
    write_report(path, tmp_path / "r.html", by=["year"])
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No paragraph has a theme." in html
    assert "3 of them because they are empty" in html
    with pytest.raises(InputError, match="nor a labelled parquet file"):
        write_report(tmp_path / "none", tmp_path / "s.html")


def test_trends_over_years(tmp_path, fast):
    rows = [
        {
            "id": str(i),
            "text": f"t{i}",
            "year": 2015 + i // 60,
            "labels": (label("involution"),) if i % (9 - i // 60) == 0 else (),
        }
        for i in range(300)
    ]
    write_report(run_of(tmp_path / "r.parquet", rows), tmp_path / "r.html", by=["year"])
    html = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert html.count("<polyline") == 1
    assert html.count("<circle") == 5
    assert "n = 60" in html
    assert "a band that reaches beyond it is cut off there" in html
    assert "<dd>2015–2019</dd>" in html


def test_the_command(labelled, tmp_path, capsys):
    page = tmp_path / "r.html"
    assert main(["report", str(labelled), "-o", str(page), "--by", "lang"]) == 0
    assert capsys.readouterr().out == f"wrote {page}\n"
    assert main(["report", str(labelled), "-o", str(page)]) == 1
    assert "exists; choose another name" in capsys.readouterr().err


def test_the_bibtex_has_the_year_of_the_release():
    from capthemes.report.sections import YEAR

    assert f"date-released: {YEAR}-" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_in_chromium_nothing_runs_and_both_widths_are_drawn(hostile_pages, tmp_path):
    """With the page's own ban on scripts taken out, so that one that got in would run."""
    page = tmp_path / "open.html"
    html = hostile_pages[0].read_text(encoding="utf-8")
    page.write_text(re.sub(r"<meta http-equiv=[^>]*>", "", html), encoding="utf-8")
    found = Page(chromium(tmp_path / "dump", page, "--dump-dom").decode())
    assert found.active == []
    assert "".join(found.text).strip().startswith(f"{HOSTILE[0]}: themes, stances and voices")
    for width in (1280, 500):
        image = tmp_path / f"{width}.png"
        chromium(tmp_path / str(width), page, f"--window-size={width},2000", f"--screenshot={image}")
        assert image.read_bytes()[16:20] == width.to_bytes(4, "big")
        assert image.stat().st_size > 20_000


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize(("width", "medium"), [(500, "screen"), (700, "print")])
def test_in_chromium_a_table_of_many_years_pushes_nothing_out_of_the_page(tmp_path, width, medium):
    names = capthemes.Codebook.load().names
    rows = [
        {"id": str(i), "text": f"t{i}", "year": 2000 + i // 60, "labels": (label(names[i % len(names)]),)}
        for i in range(24 * 60)
    ]
    write_report(run_of(tmp_path / "r.parquet", rows), tmp_path / "r.html", by=["year"])
    html = re.sub(r"<meta http-equiv=[^>]*>", "", (tmp_path / "r.html").read_text(encoding="utf-8"))
    html = html.replace("@media print", "@media all") if medium == "print" else html
    measured = "<script>onload = () => { document.title = document.documentElement.scrollWidth }</script>"
    (tmp_path / "r.html").write_text(html.replace("</body>", f"{measured}</body>"), encoding="utf-8")
    found = chromium(tmp_path / "dump", tmp_path / "r.html", f"--window-size={width},2000", "--dump-dom").decode()
    assert int(re.search(r"<title>(\d+)</title>", found)[1]) <= width


def chromium(profile: Path, page: Path, *options: str) -> bytes:
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", *quiet, f"--user-data-dir={profile}"]
    return subprocess.run([*command, *options, page.as_uri()], capture_output=True, timeout=60, check=True).stdout
