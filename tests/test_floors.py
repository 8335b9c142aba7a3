"""A module imports only from lower floors, and importing the package imports nothing heavy."""

import ast
import re
import subprocess
import sys

from conftest import ROOT

SOURCE = ROOT / "src" / "capthemes"
HEAVY = ("torch", "transformers", "datasets", "sklearn", "pyarrow", "pandas", "numba", "scipy", "rich", "joblib")


def floors() -> dict[str, int]:
    """Module -> floor, as ARCHITECTURE.md has them."""
    block = re.search(r"```floors\n(.*?)```", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    return {name: int(line.split()[0]) for line in block.splitlines() for name in line.split()[1:]}


def module_name(path) -> str:
    return path.relative_to(SOURCE).with_suffix("").as_posix()


def imported(path) -> set[str]:
    """The package's own modules that a file imports, at any depth; what only a type checker sees is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {a.name.removeprefix("capthemes.").replace(".", "/") for a in node.names if "capthemes." in a.name}
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("capthemes"):
            inner = node.module.removeprefix("capthemes").removeprefix(".").replace(".", "/")
            found |= {inner} if inner else {alias.name for alias in node.names}
    return {f"{name}/__init__" if (SOURCE / name).is_dir() else name for name in found}


def test_every_module_has_a_floor_and_imports_only_from_below():
    plan = floors()
    modules = {module_name(path): path for path in SOURCE.rglob("*.py")}
    assert set(modules) == set(plan)
    wrong = [(name, other) for name, path in modules.items() for other in imported(path) if plan[other] >= plan[name]]
    assert wrong == []


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, capthemes; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
