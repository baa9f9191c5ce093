"""The repository keeps its own rules: members, contract, imports, sizes, and nothing that runs code from data."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seisproc_core import hookspecs

ROOT = Path(__file__).parent.parent
SKIPPED = {".git", ".venv", ".tools", "target", "_build", "__pycache__", "node_modules", "reference"}
MAX_LINES = 500
TEST_KIT = ROOT / "seisproc_core" / "src" / "seisproc_core" / "testing"
CORE_MAY_IMPORT = {"attrs", "attr", "cattrs", "google_crc32c", "numpy", "pluggy", "seisproc_core"}
HEAVY = ("numpy", "numba", "zarr", "pyarrow", "scipy", "ray", "PySide6", "joblib", "matplotlib", "segyio")


def project(folder: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))


WORKSPACE = project(".")
MEMBERS: list[str] = WORKSPACE["tool"]["uv"]["workspace"]["members"]


def package_root(member: str) -> Path:
    """Where a member keeps its package: src, or what maturin is told."""
    return ROOT / member / project(member)["tool"].get("maturin", {}).get("python-source", "src")


def sources(*, tests: bool = True) -> Iterator[Path]:
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in SKIPPED and not f.startswith(".") and (tests or f != "tests")]
        yield from (Path(folder, file) for file in files if file.endswith((".py", ".rs")))


def packages() -> list[Path]:
    return [p for member in MEMBERS for p in package_root(member).iterdir() if (p / "__init__.py").is_file()]


def modules() -> list[str]:
    """Every module of every member, but for the programs."""
    found = []
    for package in packages():
        for path in package.rglob("*.py"):
            parts = path.relative_to(package.parent).with_suffix("").parts
            if parts[-1] != "__main__":
                found.append(".".join(parts).removesuffix(".__init__"))
    return sorted(found)


def test_workspace_lists_every_member() -> None:
    found = {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("*/pyproject.toml")}
    found |= {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("*/*/pyproject.toml")}
    assert found == set(MEMBERS)
    assert sorted(MEMBERS) == MEMBERS
    assert {project(member)["project"]["name"] for member in MEMBERS} == set(WORKSPACE["tool"]["uv"]["sources"])


@pytest.mark.parametrize("member", MEMBERS)
def test_member(member: str) -> None:
    about = project(member)["project"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", about["version"])
    assert about["requires-python"] == WORKSPACE["project"]["requires-python"]
    assert about["description"] and not about["description"].endswith(".")
    package = package_root(member) / about["name"].replace("-", "_")
    assert (package / "__init__.py").is_file()
    if "readme" in about:
        assert (ROOT / member / about["readme"]).read_text("utf-8").strip()
    assert list((ROOT / member / "tests").glob("test_*.py"))
    for point in about.get("entry-points", {}).get(hookspecs.ENTRY_POINT_GROUP, {}).values():
        assert point == f"{package.name}.plugin"


def hooks() -> list[str]:
    return [name for name in vars(hookspecs) if name.startswith("seisproc_")]


def test_every_hook_is_used_and_documented() -> None:
    assert len(hooks()) >= 7
    used = {
        node.name
        for package in packages()
        if (package / "plugin.py").is_file()
        for node in ast.walk(ast.parse((package / "plugin.py").read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    table = re.findall(r"^(seisproc_\w+) ", hookspecs.__doc__ or "", re.MULTILINE)
    docs = "\n".join(path.read_text("utf-8") for path in (ROOT / "docs").rglob("*.md"))
    assert sorted(table) == sorted(hooks())
    assert sorted(used) == sorted(hooks())
    assert [hook for hook in hooks() if hook not in docs] == []


def test_plugin_modules_hold_hooks_only() -> None:
    """The entry point is imported for every listing: nothing heavy, no private helper of another plugin."""
    for package in packages():
        path = package / "plugin.py"
        for name in imported(path) if path.is_file() else ():
            assert name in {"__future__", "seisproc_core", "pluggy", package.name, *sys.stdlib_module_names}, path


# Each module is imported in a fork of one process that has only foreign libraries loaded.
IMPORTER = """
import contextlib, json, os, sys, traceback, warnings
for library in ("numpy", "scipy.fft", "numba", "pyarrow.parquet", "click", "rich.progress", "joblib"):
    with contextlib.suppress(ImportError):
        __import__(library)
failed = {}
for name in json.load(sys.stdin):
    read, write = os.pipe()
    if not os.fork():
        os.close(read)
        warnings.filterwarnings("error", module="seisproc")
        try:
            __import__(name)
        except BaseException:
            os.write(write, traceback.format_exc()[-2000:].encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        if text := pipe.read():
            failed[name] = text.decode(errors="replace")
    os.wait()
print(json.dumps(failed))
"""


def test_every_module_can_be_imported_first() -> None:
    # The native package is there only where a Rust toolchain built it.
    names = [name for name in modules() if importlib.util.find_spec(name.partition(".")[0])]
    assert len(names) > 100
    done = subprocess.run(
        [sys.executable, "-c", IMPORTER],
        input=json.dumps(names),
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def test_no_file_is_long() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in sources()}
    assert len(lengths) > 150
    assert {name: count for name, count in lengths.items() if count > MAX_LINES} == {}


def test_no_tests_share_a_generator() -> None:
    """What a test draws must not depend on the tests that ran before it: use the fixture `rng`, or make one inside."""
    shared = [
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
        for path in sources()
        if path.name.startswith(("test_", "conftest"))
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func).endswith("default_rng")
    ]
    assert shared == []


def imported(path: Path) -> set[str]:
    """Top-level names of everything a file imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_the_core_has_five_dependencies() -> None:
    declared = {re.split(r"[<>=!~ \[]", need)[0] for need in project("seisproc_core")["project"]["dependencies"]}
    assert declared == {"attrs", "cattrs", "google-crc32c", "numpy", "pluggy"}
    for path in (ROOT / "seisproc_core" / "src").rglob("*.py"):
        allowed = CORE_MAY_IMPORT | ({"pytest", "hypothesis"} if TEST_KIT in path.parents else set())
        assert imported(path) - allowed - set(sys.stdlib_module_names) == set(), path


def brought_by(member: str) -> set[str]:
    """Import names of a member and of all it depends on, optionally too."""
    about = project(member)["project"]
    extras = about.get("optional-dependencies", {}).values()
    needs = [about["name"], *about.get("dependencies", []), *(need for extra in extras for need in extra)]
    names = {re.split(r"[<>=!~ \[]", need)[0] for need in needs}
    others = [m for m in MEMBERS if m != member and project(m)["project"]["name"] in names]
    own = {name.replace("-", "_") for name in names}
    own |= {other for name, other in (("numba", "llvmlite"), ("pywavelets", "pywt")) if name in names}
    return own.union(*map(brought_by, others))


@pytest.mark.parametrize("package", packages(), ids=lambda path: path.name)
def test_imports_are_declared(package: Path) -> None:
    """A distribution that installs alone brings what it imports, by itself or through another member."""
    member = next(m for m in MEMBERS if package_root(m) in package.parents)
    files = [path for path in package.rglob("*.py") if TEST_KIT not in path.parents]
    found = set().union(*map(imported, files)) - set(sys.stdlib_module_names)
    assert found - brought_by(member) == set(), f"add them to {member}/pyproject.toml"


FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "yaml"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}


def dangers(path: Path) -> Iterator[str]:
    """Ways in which reading data could run code."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            yield f"line {node.lineno}: {node.func.id}()"
        called = ast.unparse(node.func)
        if called in ("joblib.load", "joblib.dump", "yaml.load", "np.loadtxt", "os.system"):
            yield f"line {node.lineno}: {called}()"
        for keyword in node.keywords:
            risky = keyword.arg in ("allow_pickle", "shell")
            if risky and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
                yield f"line {node.lineno}: {keyword.arg}="
    for name in imported(path) & FORBIDDEN_MODULES:
        yield f"imports {name}"


def test_no_data_can_run_code() -> None:
    files = [path for path in sources(tests=False) if path.suffix == ".py" and path.name != "conftest.py"]
    assert len(files) > 100
    found = {path.relative_to(ROOT).as_posix(): list(dangers(path)) for path in files}
    assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "code",
    ["eval('1')", "import pickle", "np.load(f, allow_pickle=True)", "from yaml import load", "run(c, shell=True)"],
)
def test_the_gate_sees(code: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(code)
    assert list(dangers(tmp_path / "bad.py"))


LIGHT = "import sys; {}; print(*(name for name in {!r} if name in sys.modules))"


@pytest.mark.parametrize(
    "code",
    ["import seisproc_core", "from seisproc_terminal.main import run; run(['--help'])"],
    ids=["import seisproc_core", "seisproc --help"],
)
def test_starting_loads_nothing_heavy(code: str, tmp_path: Path) -> None:
    env = {**os.environ, "SEISPROC_CACHE_DIR": str(tmp_path)}
    for _ in range(2):  # the first run makes the index of plugins
        done = subprocess.run(
            [sys.executable, "-c", LIGHT.format(code, HEAVY)],
            env=env,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""
