"""What the documentation says, done: its commands, its Python, its plugin, its paths."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import site
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from seisproc.demo.modelling import model_line
from seisproc.demo.segy_file import write_segy

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *DOCS.glob("*.md"), *(DOCS / "decisions").glob("*.md")]


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of every fenced block of a page."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.S | re.M)


def file_name(text: str) -> str | None:
    """The name in a block's first line ``# file: NAME``."""
    found = re.match(r"# file: (\S+)\n", text)
    return found[1] if found else None


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command with this environment's programs first on the PATH; its failure is the test's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**os.environ, "PATH": path, **environment},
        check=False, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    said = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert done.returncode == 0, f"{command[-1]}\nexit code {done.returncode}\n{said}"
    return done


def test_processing_guide_runs_as_it_stands(tmp_path: Path) -> None:
    ran = 0
    for language, text in blocks("guide-processing.md"):
        name = file_name(text)
        if name:
            (tmp_path / name).write_text(text, "utf-8")
        elif language == "sh":
            run("bash", "-euo", "pipefail", "-c", text, cwd=tmp_path)
            ran += 1
    assert ran >= 8
    assert (tmp_path / "stack.seis" / "manifest.json").is_file()
    assert (tmp_path / "stack.sgy").is_file()
    assert (tmp_path / "cdp60.png").is_file()
    assert not list(tmp_path.glob("*.part"))
    assert not list(tmp_path.glob("*.lock"))


def test_geometry_guide_runs_as_it_stands(tmp_path: Path) -> None:
    ran = 0
    for language, text in blocks("guide-geometry.md"):
        name = file_name(text)
        if name:
            (tmp_path / name).write_text(text, "utf-8")
        elif language == "sh":
            run("bash", "-euo", "pipefail", "-c", text, cwd=tmp_path)
            ran += 1
    assert ran >= 6
    assert {path.suffixes[0] for path in tmp_path.glob("line.*.png")} >= {".base", ".fold", ".offset", ".lmo"}


def test_segy_guide_runs_as_it_stands(tmp_path: Path) -> None:
    for language, text in blocks("guide-segy.md"):
        name = file_name(text)
        if name:
            (tmp_path / name).write_text(text, "utf-8")
        elif language == "sh":
            run("bash", "-euo", "pipefail", "-c", text, cwd=tmp_path)
    assert "no problem found" in (tmp_path / "final.txt").read_text("utf-8")
    assert json.loads((tmp_path / "small.txt.json").read_text("utf-8"))["format"] == 3


def test_survey_opens_in_xarray_as_the_guide_says(tmp_path: Path) -> None:
    write_segy(model_line(shots=8, channels=12), tmp_path / "shots.sgy")
    run("seisproc", "import", "shots.sgy", "line.seis", "--executor", "in-process", cwd=tmp_path)
    (program,) = (text for language, text in blocks("guide-mdio.md") if language == "python")
    assert "(12, 750)" in run(sys.executable, "-c", program, cwd=tmp_path).stdout


def test_jobs_guide_runs_as_it_stands(tmp_path: Path) -> None:
    commands = []
    for language, text in blocks("guide-jobs.md"):
        name = file_name(text)
        if name:
            (tmp_path / name).write_text(text, "utf-8")
        elif language == "sh":
            commands.append(text)
    assert len(commands) >= 9
    own = {"SEISPROC_STATE_DIR": str(tmp_path / "state")}
    # One shell for all, because later blocks use the numbers of earlier jobs.
    said = run("bash", "-euo", "pipefail", "-c", "\n".join(commands), cwd=tmp_path, **own).stdout
    for expected in ("queued  its process died", "queued  resumed", "interrupted"):
        assert expected in said
    listed = run("seisproc", "jobs", "--json", cwd=tmp_path, **own).stdout
    assert Counter(job["state"] for job in json.loads(listed)["jobs"]) == {"completed": 6, "cancelled": 1, "failed": 1}
    assert {path.stem for path in tmp_path.glob("*.seis")} == {"line", "slow", "gain", "high", "low", "again"}
    assert (tmp_path / "jobs.html").stat().st_size > 1000
    assert not list(tmp_path.glob("*.part"))
    assert not list(tmp_path.glob("*.lock"))


@pytest.fixture
def with_line(tmp_path: Path) -> Path:
    """A folder with a small modelled line: line.sgy, and line.seis imported from it."""
    write_segy(model_line(shots=8, channels=12, samples=400), tmp_path / "line.sgy")
    run(sys.executable, "-m", "seisproc", "import", "line.sgy", "line.seis", "--executor", "in-process", cwd=tmp_path)
    return tmp_path


def test_embedding_guide_runs_as_it_stands(with_line: Path) -> None:
    program = "\n".join(text for language, text in blocks("guide-embedding.md") if language == "python")
    out = run(sys.executable, "-W", "error::DeprecationWarning", "-c", program, cwd=with_line).stdout
    assert "completed: 96 of 96 traces" in out
    assert "100 %" in out and "flow is completed" in out
    assert "the second job was cancelled" in out
    assert "did you mean bandpass?" in out


@pytest.fixture
def author(with_line: Path) -> Iterator[Path]:
    """The authors' guide as files, and its distribution installed in an environment of its own, which sees what is
    installed here. Returns the environment's Python."""
    for _, text in blocks("guide-authors.md"):
        name = file_name(text)
        if name:
            path = with_line / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    run(sys.executable, "-m", "venv", "env", cwd=with_line)
    python = with_line / "env" / "bin" / "python"
    (mine,) = (with_line / "env" / "lib").glob("python*/site-packages")
    lines = [f"import site; site.addsitedir({folder!r})" for folder in site.getsitepackages()]
    (mine / "parent.pth").write_text("\n".join(lines), "utf-8")
    # All it needs is here already, its build tool too: no index is asked.
    run(python, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation", ".", cwd=with_line)
    yield python


def test_authors_guide_works_as_it_stands(author: Path) -> None:
    folder = author.parent.parent.parent

    def seisproc(*arguments: str, **environment: str) -> str:
        return run(author, "-m", "seisproc", *arguments, cwd=folder, **environment).stdout

    listed = json.loads(seisproc("processors", "--json"))["processors"]
    ours = {p["id"] for p in listed if p["distribution"] == "seisproc-spikes"}
    assert ours == {"soft_clip", "median3", "plain_subtract", "shot_balance"}
    assert "Limit as a multiple of the trace's rms." in seisproc("processors", "soft_clip")
    limit = json.loads(seisproc("processors", "soft_clip", "--schema"))["properties"]["limit"]
    assert (limit["type"], limit["exclusiveMinimum"], limit["default"]) == ("number", 0, 3.0)

    run(author, DOCS / "build.py", "--plain", "--reference", folder / "reference", cwd=folder)
    assert "processors/soft_clip.md" in (folder / "reference" / "processors.md").read_text("utf-8")
    page = (folder / "reference" / "processors" / "soft_clip.md").read_text("utf-8")
    assert "y = L tanh(x / L)" in page
    assert "| `limit` | number | 3 |" in page

    run(author, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=folder)
    seisproc("run", "spikes.toml")
    written = (folder / "clean.f32").read_bytes()
    assert len(written) == 32 + 96 * 400 * 4
    assert np.ptp(np.frombuffer(written, "<f4", offset=32)) > 0
    assert json.loads(seisproc("info", "clean.f32", "--json"))

    with pytest.raises(AssertionError, match="exit code -9"):
        seisproc("run", "spikes.toml", "--replace", SEISPROC_FAULT="before-commit:1")
    (folder / "clean.f32").unlink()
    seisproc("resume", "clean.f32")
    assert (folder / "clean.f32").read_bytes() == written


def test_reference_covers_what_is_installed(tmp_path: Path) -> None:
    from seisproc_core.plugins import registry

    run(sys.executable, DOCS / "build.py", "--plain", "--reference", tmp_path, cwd=tmp_path)
    for entry in registry().of("processors"):
        page = (tmp_path / "processors" / f"{entry.id}.md").read_text("utf-8")
        assert all(f"| `{name}` |" in page for name in entry.spec["schema"]["properties"]), entry.id
    commands = (tmp_path / "commands.md").read_text("utf-8")
    assert all(f"\n## seisproc {entry.id}\n" in commands for entry in registry().of("commands"))


@pytest.mark.skipif(not importlib.util.find_spec("sphinx"), reason="Sphinx (dependency group docs) is not installed")
def test_pages_make_html_without_a_warning(tmp_path: Path) -> None:
    source = tmp_path / "docs"
    for page in (path for path in DOCS.rglob("*") if path.suffix in (".md", ".py", ".png", ".toml")):
        place = page.relative_to(DOCS)
        if place.parts[0] not in ("_build", "reference"):
            (source / place).parent.mkdir(parents=True, exist_ok=True)
            (source / place).write_bytes(page.read_bytes())
    run(sys.executable, source / "build.py", "--plain", cwd=tmp_path)
    assert "seisproc run" in (source / "_build" / "reference" / "commands.html").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_that_are_named_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    outside_blocks = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
    links = re.findall(r"\]\((?!https?:)([^)#]+)", outside_blocks)
    top = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    paths = re.findall(rf"`((?:{top})/[\w./-]*)`", outside_blocks)
    missing = [link for link in links if "reference/" not in link and not (page.parent / link).exists()]
    missing += [path for path in paths if not path.startswith("docs/reference") and not (ROOT / path).exists()]
    assert not missing


def program_texts() -> str:
    """Every string of the programs, a line each, with ``...`` for what is filled in."""
    texts = []
    for path in (p for top in ("seisproc_core", "plugins") for p in (ROOT / top).glob("**/src/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value.replace("%d", "...").replace("%.1f", "...").replace("%s", "..."))
    return "\n".join(texts)


def test_messages_in_troubleshooting_are_those_of_the_programs() -> None:
    page = (DOCS / "troubleshooting.md").read_text("utf-8")
    messages = re.findall(r"^\| `(.+?)`", page, re.M)
    texts = program_texts()
    assert len(messages) > 40
    fragments = {part.strip() for message in messages for part in message.split("...")}
    assert not [part for part in fragments if part not in texts]


@pytest.mark.parametrize(("plugin", "least"), [("denoise", 3), ("signal", 5), ("velocity", 5)])
def test_differences_are_those_of_the_plugins(plugin: str, least: int) -> None:
    readme = (ROOT / "plugins" / plugin / "README.md").read_text("utf-8")
    found = re.search(r"^##+ (?:Differences|Where results differ).*?\n(.*?)(?=^## |\Z)", readme, re.S | re.M)
    assert found
    stated = " ".join((DOCS / "differences.md").read_text("utf-8").split())
    lines = [" ".join(line.split()) for line in re.findall(r"^- .*\n(?:  .*\n)*", found[1], re.M)]
    assert len(lines) >= least
    assert not [line for line in lines if line not in stated]
