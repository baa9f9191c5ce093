"""Writing a new plugin distribution from the template."""

from __future__ import annotations

import datetime
import keyword
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from seisproc.licences import LICENCES
from seisproc_core.errors import OutputExists, StorageError, UsageError
from seisproc_core.plugins import registry

TEMPLATE = Path(__file__).parent / "template"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
PROCESSOR = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST = 60
TAKEN = {"plugin", "sort", "test", "tests", "conftest"}  # modules and steps that are something else


def new_plugin(name: str, into: Path, *, processor: str | None, licence: str, author: str) -> Path:
    """Write a distribution `name` into the new folder ``into / name``; it appears whole or not at all.

    Parameters
    ----------
    name
        Of the distribution: lower case letters, digits and single dashes.
    processor
        Its processor; the name without ``seisproc-`` if left out.
    licence
        One of `LICENCES`, or ``none``.
    author
        For licence and metadata.

    Raises
    ------
    UsageError
        A name that cannot be one, or is another's.
    OutputExists
        The folder is there already.
    """
    values = _values(name, processor or name.removeprefix("seisproc-").replace("-", "_"), licence, author)
    target = into / name
    if os.path.lexists(target):
        raise OutputExists(f"{target} is already there; choose another name, or delete it")
    try:
        into.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=into))
        try:
            for path, text in _files(values):
                (made / path).parent.mkdir(parents=True, exist_ok=True)
                (made / path).write_text(text, "utf-8")
            made.chmod(0o777 & ~_umask())
            made.rename(target)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
    except OSError as error:
        raise StorageError.from_os(error, f"cannot write {target}") from error
    return target


def _values(name: str, processor: str, licence: str, author: str) -> dict[str, str]:
    """What the template's placeholders stand for."""
    known = registry()
    package = name.replace("-", "_")
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise UsageError(f"'{name}' cannot be a distribution's name: lower case letters, digits and single dashes")
    if any(p.distribution.lower() == name for p in known.plugins):
        raise UsageError(f"a plugin {name} is installed already; choose another name")
    if package in sys.stdlib_module_names or keyword.iskeyword(package) or package.startswith("seisproc_core"):
        raise UsageError(f"'{package}' is a module of Python's or seisproc's own; choose another name")
    if not PROCESSOR.fullmatch(processor) or len(processor) > LONGEST or keyword.iskeyword(processor):
        raise UsageError(f"'{processor}' cannot be a step's name: lower case letters, digits and _ (--processor NAME)")
    if processor in TAKEN or processor == package:
        raise UsageError(f"'{processor}' is taken for something else; name the step with --processor NAME")
    owner = next((e.distribution for e in known.of("processors") if e.id == processor), None)
    if owner is not None:
        raise UsageError(f"{owner} has a step '{processor}' already; name yours with --processor NAME")
    if not author.strip() or any(ord(c) < 32 or c in '"\\' for c in author):
        raise UsageError('the author\'s name may hold neither quotes nor control characters (--author "NAME")')
    major, minor = version("seisproc-core").split(".")[:2]
    return {
        "distribution": name,
        "package": package,
        "processor": processor,
        "class": "".join(part.capitalize() for part in processor.split("_")),
        "author": author.strip(),
        "core": f"{major}.{minor},<{major}.{int(minor) + 1}",
        "licence": licence,
        "licence_lines": "" if licence == "none" else f'license = "{licence}"\nlicense-files = ["LICENSE"]\n',
    }


def _files(values: dict[str, str]) -> Iterator[tuple[Path, str]]:
    """Path and text of every file of the distribution."""
    for source in sorted(TEMPLATE.rglob("*.txt")):
        path = str(source.relative_to(TEMPLATE)).removesuffix(".txt")
        path = path.replace("PACKAGE", values["package"]).replace("PROCESSOR", values["processor"])
        yield Path(".gitignore" if path == "gitignore" else path), _filled(source.read_text("utf-8"), values)
    if values["licence"] != "none":
        text = LICENCES[values["licence"]]
        yield Path("LICENSE"), text.format(year=datetime.date.today().year, author=values["author"])


def _filled(text: str, values: dict[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda found: values[found[1]], text)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
