"""What the source may not do: unpickle, run text as code, trust remote code, reach the network, stall on a string."""

import ast
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

import capthemes
from capthemes.codebook import Codebook
from capthemes.families.keywords import Keywords
from capthemes.sklearn import TOKEN
from capthemes.text import paragraphs, script, sentences
from conftest import ROOT
from test_floors import SOURCE, imported, module_name

MODULES = {module_name(path): path for path in SOURCE.rglob("*.py")}
# Modules that read pickles or run what they read, and the calls that do it under other names.
BANNED = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "shelve", "marshal", "code", "codeop", "runpy", "pty"}
CALLS = {
    "system", "popen", "joblib.load", "torch.load", "jit.load", "hub.load",
    "torch.package", "read_pickle", "to_pickle", "np.load", "numpy.load", "np.save", "loadtxt", "fromfile",
    "yaml.load", "unsafe_load", "get_model", "load_state_dict_from_url", "urlopen", "hf_hub_download",
    "snapshot_download", "register_custom_ops_library", "from_string", "Template", "format_map",
    "execl", "execle", "execlp", "execlpe", "execv", "execve", "execvp", "execvpe", "posix_spawn", "spawnl", "spawnv",
}  # fmt: skip
BARE = {"eval", "exec", "compile", "__import__"}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def names(tree: ast.Module) -> dict[str, str]:
    """What the names that a source imports stand for."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def harm(source: str) -> list[str]:
    """What a source imports or calls that reads pickles or runs text as code."""
    tree, found = ast.parse(source), []
    known = names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [f"import {alias.name}" for alias in node.names if alias.name.split(".")[0] in BANNED]
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [f"from {node.module}"] * (node.module.split(".")[0] in BANNED)
            named = {f"{node.module.split('.')[0]}.{alias.name}" for alias in node.names}
            found += [f"from {node.module} import {bad}" for bad in named & CALLS]
        if isinstance(node, ast.Call):
            found += [f"{node.lineno}: {dotted(node.func)}"] * is_harmful(node, known)
    return found


def is_harmful(node: ast.Call, known: dict[str, str]) -> bool:
    """Whether a call is one of CALLS or BARE under any name, or imports one of BANNED."""
    written = dotted(node.func)
    head, dot, rest = written.partition(".")
    full = f"{known.get(head, head)}{dot}{rest}"
    root, last = full.split(".")[0], full.split(".")[-1]
    ways = {written, ".".join(written.split(".")[-2:]), written.split(".")[-1], full, f"{root}.{last}", last}
    asked = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else ""
    return bool(
        ways & CALLS
        or full.removeprefix("builtins.") in BARE
        or (last == "import_module" and str(asked).split(".")[0] in BANNED)
    )


def reached(*starts: str) -> set[str]:
    """The package's modules that modules import, and those that they import; what is imported by name counts."""
    named = {"families/__init__": "families/", "cli": "commands/", "__init__": ""}
    found, waiting = set(), list(starts)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [*imported(MODULES[name]) & MODULES.keys()]
            waiting += [other for other in MODULES if name in named and other.startswith(named[name])]
    return found


def test_nothing_that_loading_or_labelling_reaches_unpickles_or_runs_text():
    assert reached("model") >= {"manifest", "families/pipeline", "families/encoder", "families/zeroshot"}
    assert reached("cli", "__init__") == MODULES.keys()
    found = {name: harm(MODULES[name].read_text(encoding="utf-8")) for name in reached("cli", "__init__")}
    assert {name: bad for name, bad in found.items() if bad} == {}


@pytest.mark.parametrize(
    "source",
    [
        *("eval(a)", "exec(a)", "compile(a, b, 'exec')", "__import__(a)", "import builtins\nbuiltins.eval(a)"),
        *("import pickle", "from dill import loads", "from joblib import load", "import pickle as p\np.loads(a)"),
        *("import joblib as j\nj.load(a)", "import numpy as n\nn.load(a)", "from numpy import load as l\nl(a)"),
        *("import os as o\no.system(a)", "from os import system as s\ns(a)", "import os\nos.execv(a, [])"),
        *("import importlib\nimportlib.import_module('pickle')", "from builtins import eval as e\ne(a)"),
        "from importlib import import_module as i\ni('dill.x')",
    ],
)  # fmt: skip
def test_harm_is_found_under_any_name(source):
    assert harm(source)


def test_what_looks_like_harm_is_let_be():
    assert harm("import re\nre.compile(a)\nfrom importlib import import_module\nimport_module('capthemes.text')") == []


def test_no_one_is_asked_to_trust_code_and_no_shell_is_opened():
    words = ("trust_remote_code", "allow_pickle", "weights_only", "shell", "allow_all_kernels")
    for name, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        assert "trust_remote_code" not in text, name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                assert not [k.arg for k in node.keywords if k.arg in words], f"{name}:{node.lineno}"
                kind = dotted(node.func).removesuffix(".from_pretrained")
                if kind.startswith("AutoModel") and kind != dotted(node.func):
                    given = {k.arg: getattr(k.value, "value", None) for k in node.keywords}
                    assert given.get("use_safetensors") is True, f"{name}:{node.lineno} may load pickled weights"


# What a user does without having asked for the network, run with every socket blocked.
OFFLINE = {
    "import": "import capthemes; [getattr(capthemes, name) for name in capthemes.__all__]",
    "load": "from capthemes.model import load, names; [load(name) for name in names()]",
    "predict": "from capthemes.model import load, names; [load(name).predict(['产能过剩']) for name in names()]",
    "report": f"from capthemes.cli import main; label = ['label', {str(ROOT / 'examples')!r}, '-o', 'o.parquet']; "
    "calls = [label, ['report', 'o.parquet', '-o', 'o.html'], ['explain', 'Mills cut output.']]; "
    "assert [main(call) for call in calls] == [0, 0, 0]",
    "label": f"from capthemes.cli import main; assert main(['label', {str(ROOT / 'examples')!r}, '-o', 'o.csv']) == 0",
}
BLOCKED = """
import os, sys
os.environ.pop("HF_HUB_OFFLINE", None)
def deny(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.bind"):
        sys.stderr.write(f"NETWORK {event} {arguments[1:]}\\n")
        os._exit(9)
    if event == "pickle.find_class":
        sys.stderr.write(f"PICKLE {arguments}\\n")
        os._exit(8)
sys.addaudithook(deny)
"""


@pytest.mark.parametrize("use", OFFLINE)
def test_no_network_is_reached_and_nothing_unpickled(use, tmp_path):
    for needed in {"load": ["onnxruntime"], "predict": ["onnxruntime"], "report": ["jinja2"]}.get(use, []):
        pytest.importorskip(needed)
    run = subprocess.run([sys.executable, "-c", BLOCKED + OFFLINE[use]], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr


def test_the_block_would_be_felt(tmp_path):
    for code, status in (("import socket; socket.create_connection(('127.0.0.1', 9))", 9),
                         ("import pickle; pickle.loads(pickle.dumps(print))", 8)):  # fmt: skip
        assert subprocess.run([sys.executable, "-c", BLOCKED + code], capture_output=True).returncode == status


def calls(path: Path) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))


def matchers() -> dict[str, Callable[[str], object]]:
    """Every regular expression of the package, compiled or written in a call, run as it is used there."""
    found = {f"keywords {p.pattern}": p.search for p in Keywords(Codebook.load())._patterns[0]}
    found["sklearn.TOKEN"] = used(re.compile(TOKEN), "findall")  # compiled by scikit-learn
    compiled = {}
    for name in MODULES:
        module = import_module("capthemes." + name.replace("/", ".").removesuffix(".__init__"))
        compiled |= {(name, key): value for key, value in vars(module).items() if isinstance(value, re.Pattern)}
    for name, path in MODULES.items():
        for call in calls(path):
            owner, _, method = dotted(call.func).rpartition(".")
            if owner == "re" and method not in ("compile", "escape") and isinstance(call.args[0], ast.Constant):
                found[f"{name}:{call.lineno}"] = used(re.compile(call.args[0].value), method)
            elif (name, owner) in compiled:
                found[f"{name}.{owner}.{method}"] = used(compiled[name, owner], method)
    return found


def used(pattern: re.Pattern[str], method: str) -> Callable[[str], object]:
    if method in ("match", "fullmatch"):
        return getattr(pattern, method)
    return lambda text: sum(1 for _ in pattern.finditer(text))  # as split, sub, findall and search do


LENGTHS = (8000, 4000, 32_000)  # first a look at each, then a closer one at those that take their time
# Pieces that, many times over, bring a backtracking matcher to try again and again.
PIECES = [
    *"a1 \n\t.,!?-_'\"()[]{}<>|#*+=:;`/\\产。！”』\u3000", "a ", "a.", ". ", '."', "a-", "a'", "[a](", "](", "![", "<a",
    "</", "---\n", "\n \n", "-\n", "# ", "> ", "1. ", "- `a`: ", "version 1 ", "`a`", "::-", "|a", "a@1:", "产a",
    "owner/name@",
]  # fmt: skip
ENDS = ["", "!", "x\n"]


def seconds(run, text: str) -> float:
    began = time.thread_time()
    run(text)
    return time.thread_time() - began


def test_time_on_hostile_strings_grows_with_their_length():
    pytest.importorskip("torch")  # a module imports it at its head
    runs = matchers()
    assert len(runs) > 20
    runs |= {"sentences": sentences, "script": script, "paragraphs": lambda text: paragraphs(text, markdown=True)}
    slow = []
    for name, run in runs.items():
        for piece in PIECES:
            for end in ENDS:
                texts = [piece * (n // len(piece)) + end for n in LENGTHS]
                if seconds(run, texts[0]) < 0.02:  # in proportion it takes a millisecond
                    continue
                times = [min(seconds(run, text) for _ in range(3)) for text in texts[1:]]
                if times[1] > 20 * times[0]:  # 8 where it is linear, 64 where it is quadratic
                    slow.append((name, piece, end, times))
    assert slow == []


def test_hostile_paragraphs_are_labelled_in_time(fast):
    for piece in PIECES:
        times = [min(seconds(lambda text: fast.predict([text]), piece * (n // len(piece))) for _ in range(2))
                 for n in LENGTHS[1:]]  # fmt: skip
        assert times[1] < max(0.5, 20 * times[0]), piece


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1+cmd", "'+1+cmd"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),
        ("- a list", "'- a list"),
        ("plain = text", "plain = text"),
        ("", ""),
        ("-5", "-5"),
        ("+3.25e-7", "+3.25e-7"),
        (-5, -5),
        (-0.1, -0.1),
        (None, None),
        (["=1"], '["=1"]'),
    ],
)
def test_csv_cells_are_not_run_as_formulas_and_numbers_stay(value, cell):
    from capthemes.writing import _cell

    assert _cell(value) == cell
    assert type(_cell(value)) is type(cell)


def test_a_formula_among_the_columns_and_texts_comes_out_as_text(tmp_path):
    import csv
    import json

    rows = [{"text": "=HYPERLINK(1)", "=A1": -1.5, "n": "-7"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    capthemes.label_corpus([tmp_path / "a.jsonl"], tmp_path / "o.csv")
    with Path(tmp_path / "o.csv").open(newline="", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    assert (row["text"], row["'=A1"], row["n"]) == ("'=HYPERLINK(1)", "-1.5", "-7")
