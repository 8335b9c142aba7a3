"""The documents say what is so: the README's Python runs, its commands exist, links lead somewhere."""

import re
import shlex
import tomllib

import pytest
from benchmarks import models, speed_sheet
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from capthemes.cli import main, parser
from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readmes_python_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)  # a document of this repository, run as its reader would


@pytest.mark.parametrize("path", ["README.md", "benchmarks/README.md"])
def test_the_models_figures_are_those_of_their_manifests(path):
    assert models.rendered(ROOT / path) == (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", ["README.md", "benchmarks/speed.md"])
def test_the_figures_of_speed_are_those_of_the_last_run(path):
    assert speed_sheet.rendered(ROOT / path) == (ROOT / path).read_text(encoding="utf-8")


def test_the_readmes_table_is_what_the_main_job_prints(capsys, tmp_path):
    main(["label", str(ROOT / "examples"), "-o", str(tmp_path / "o.csv")])
    shown = capsys.readouterr().out.splitlines()
    block = re.search(r"```\n(\d+ paragraphs.*?)\.\.\.\n```", README, re.DOTALL)[1].splitlines()
    assert [line.split() for line in block] == [line.split() for line in shown[: len(block)]]


def test_the_readmes_commands_parse():
    lines = re.findall(r"(?m)^(?:.*&& )?(?:\.venv/bin/)?capthemes (.+?)(?:\s+#.*)?$", README)
    assert len(lines) >= 4
    for line in lines:
        parser().parse_args(shlex.split(line))


@pytest.mark.parametrize(
    "path",
    [path.relative_to(ROOT).as_posix() for path in ROOT.glob("*.md")]
    + ["annotations/README.md", "docs/from-articles-to-a-figure.md"],
)
def test_links_between_files_lead_somewhere(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        assert ((ROOT / path).parent / target).exists(), target


def test_the_lock_has_a_version_of_all_that_the_tests_need():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    versions = dict(re.findall(r"(?m)^([a-z0-9-]+)==(.+)$", lock))
    for need in needed("test", "dev"):
        name = canonicalize_name(need.name)
        assert name in versions, name
        assert need.specifier.contains(versions[name]), name


def needed(*extras: str) -> list[Requirement]:
    """What the package and these extras require, those that an extra takes in among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found, waiting, seen = [Requirement(line) for line in project["dependencies"]], list(extras), set()
    while waiting:
        if (extra := waiting.pop()) in seen:
            continue
        seen.add(extra)
        for need in map(Requirement, project["optional-dependencies"][extra]):
            if need.name == "capthemes":
                waiting += need.extras
            else:
                found.append(need)
    return found


def test_the_changelog_has_the_version():
    version = re.search(r'(?m)^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_worked_example_runs_and_its_intervals_are_honest(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "from-articles-to-a-figure.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "from-articles-to-a-figure.md", "exec"), names)
    assert names["estimated"] >= 14
    assert names["estimated"] > names["as_counted"]
    assert (tmp_path / "figure.html").read_text(encoding="utf-8").count('class="estimated"') == 16
    assert "rest on 240 paragraphs of the run, drawn at random and labelled by hand" in (
        tmp_path / "report.html"
    ).read_text(encoding="utf-8")
