"""Make the documentation: reference pages from what is installed, then HTML with Sphinx.

``python docs/build.py`` writes ``docs/reference/`` and ``docs/_build/``; ``--reference FOLDER`` writes only the
reference pages, into that folder, and needs no Sphinx; ``--plain`` leaves out what has to be computed: pictures, costs,
how far backends differ. Every installed plugin is covered, your own included.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from measured import measure

from seisproc_core.data.words import DEAD_REASONS, GEOMETRY_WORDS, OWN_WORDS, STANDARD
from seisproc_core.plugins import Described, Registry, registry
from seisproc_terminal.commands.processors_command import example, parameter_row

HERE = Path(__file__).parent
_MARKUP = re.compile(r"(`+[^`]*`+)|([\\*_<>\[\]$#|])")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--reference", type=Path, metavar="FOLDER", help="write only the reference pages, there")
    parser.add_argument("--plain", action="store_true", help="without pictures and measured figures")
    arguments = parser.parse_args()
    wanted: Path | None = arguments.reference
    write_reference(wanted or HERE / "reference", registry(), measured=not arguments.plain)
    if wanted is not None:
        return 0
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    code = subprocess.run([*command, str(HERE), str(HERE / "_build")], check=False).returncode
    if code == 0:
        sys.stdout.write(f"{HERE / '_build' / 'index.html'}\n")
    return code


def write_reference(folder: Path, known: Registry, *, measured: bool = True) -> None:
    """Write one page per processor, one of all commands, one of header words and one of plugins."""
    (folder / "processors").mkdir(parents=True, exist_ok=True)
    entries = known.of("processors")
    wanted = {folder / "processors" / f"{entry.id}.md" for entry in entries}
    for old in set((folder / "processors").glob("*.md")) - wanted:
        old.unlink()
    facts = {entry.id: measure(entry, known, folder / "processors") for entry in entries} if measured else {}
    for entry in entries:
        _write(folder / "processors" / f"{entry.id}.md", processor_page(entry, facts.get(entry.id)))
    _write(folder / "backends.md", backends_page(facts))
    _write(folder / "processors.md", processors_page(entries))
    _write(folder / "commands.md", commands_page(known))
    _write(folder / "headers.md", headers_page())
    _write(folder / "plugins.md", plugins_page(known))


def processor_page(entry: Described, facts: Mapping[str, Any] | None) -> Iterator[str]:
    """What a processor does, before and after, its parameters, backends and cost, and a step to copy."""
    schema = entry.spec["schema"]
    yield f"# {entry.id}"
    yield f"*Works on one {entry.spec['scope']} at a time; from {entry.distribution}, version {entry.spec['version']}.*"
    what, when_not, sources = parts(entry.spec["doc"])
    yield from map(markdown, what)
    if when_not:
        yield "## When not to use it"
        yield from map(markdown, when_not)
    if facts and facts["no_picture"]:
        yield f"No picture here: {facts['no_picture']}."
    elif facts:
        yield "## Before and after"
        yield f"![{entry.id}: input, output]({entry.id}.png)"
        given = " ".join(f"{key} = {value}" for key, value in facts["example"].items())
        yield f"A modelled gather{f', with `{given}`' if given else ''}. What was removed is on the scale of the input."
    if schema["properties"]:
        yield "## Parameters"
        head = ("parameter", "type", "default", "unit", "range", "what it is")
        rows = [parameter_row(name, item, name in schema["required"]) for name, item in schema["properties"].items()]
        yield table(head, [(f"`{row[0]}`", *map(str, row[1:])) for row in rows])
    else:
        yield "It has no parameters."
    if entry.spec["saves"]:
        yield "## Side outputs"
        yield " ".join(f'`save.{name} = "{name}.seis"`' for name in entry.spec["saves"])
    if facts and facts["us_per_trace"]:
        yield "## Cost and backends"
        yield (
            "CPU time per trace of 501 samples on the machine that made this page, in gathers of 24; and how far a "
            "backend was from the reference at most, as relative rms, over all examples and several shapes."
        )
        rows = [
            (form, f"{cost:,.1f} µs", f"{facts['backends'][form]:.1e}" if form in facts["backends"] else "0")
            for form, cost in facts["us_per_trace"].items()
        ]
        yield table(("backend", "per trace", "differs by"), rows)
    yield "## In a flow"
    yield fenced("toml", "\n".join(example(entry.id, schema)))
    if sources:
        yield "## Source"
        yield from map(markdown, sources)


def parts(doc: str) -> tuple[list[str], list[str], list[str]]:
    """Paragraphs of a docstring: what it does; those that begin with "Not"; those that begin with "Source:"."""
    paragraphs = doc.split("\n\n")
    when_not = [text for text in paragraphs if text.startswith("Not ")]
    sources = [text for text in paragraphs if re.match("Sources?:", text)]
    return [text for text in paragraphs if text not in when_not + sources], when_not, sources


def backends_page(facts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Every processor that has accelerated forms, and how far they are from its reference."""
    yield "# Backends"
    yield (
        "Largest relative rms of the difference from the reference form, over all examples of a processor and several "
        "shapes; 1e-5 is the limit. Steps that compare with thresholds may differ more in at most 1e-4 of the samples. "
        'A step takes the best backend that works here; `backend = "reference"` in a flow forces another. One that a '
        "kernel does not have is refused, with those it has."
    )
    rows = [(name, form, f"{worst:.1e}") for name, item in facts.items() for form, worst in item["backends"].items()]
    yield table(("processor", "backend", "differs by"), rows)


def processors_page(entries: list[Described]) -> Iterator[str]:
    yield "# Processors"
    yield "The steps a flow may use. `sort` is one more: it belongs to the flow itself (see the processing guide)."
    head = ("processor", "works on", "from", "what it does")
    yield table(
        head, [(f"[{e.id}](processors/{e.id}.md)", e.spec["scope"], e.distribution, e.spec["summary"]) for e in entries]
    )
    yield fenced("{toctree}", "\n".join([":hidden:", "", *(f"processors/{e.id}" for e in entries)]))


def commands_page(known: Registry) -> Iterator[str]:
    """The help of every command, as `--help` prints it."""
    yield "# Commands"
    yield "What `seisproc COMMAND --help` prints. Exit codes: [safety](../safety.md)."
    top = click.Context(click.Group("seisproc"), info_name="seisproc", help_option_names=["-h", "--help"])
    for entry in known.of("commands"):
        yield from _command(known.load("commands", entry.id), entry.id, top, "##")


def _command(command: click.Command, name: str, parent: click.Context, level: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    yield f"{level} {context.command_path}"
    yield fenced("text", command.get_help(context))
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from _command(found, child, context, level + "#")


def headers_page() -> Iterator[str]:
    yield "# Header words"
    yield (
        "One name each; the SU key (and segyio's name) is understood everywhere too. `rule` says what a word becomes "
        "when several traces make one: `same` keeps a value on which all agree and writes 0 otherwise."
    )
    head = ("word", "SEG-Y bytes", "type", "SU key", "kind", "rule")
    rows = [(f"`{w.name}`", str(w.byte), w.type, w.su, w.kind, w.combine) for w in STANDARD.values()]
    yield table(head, rows)
    yield "Words of seisproc's own, on every trace:"
    yield table(("word", "type", "rule"), [(f"`{w.name}`", w.type, w.combine) for w in (*OWN_WORDS, *GEOMETRY_WORDS)])
    yield "`dead`: " + "; ".join(f"{code} {reason}" for code, reason in DEAD_REASONS.items()) + "."


def plugins_page(known: Registry) -> Iterator[str]:
    yield "# Installed plugins"
    yield "Of the environment this page was made in."
    rows = []
    for plugin in known.plugins:
        mine = [e for e in known.entries if e.distribution == plugin.distribution and e.kind != "processors"]
        count = sum(e.distribution == plugin.distribution for e in known.of("processors"))
        parts = [f"{count} processors"] if count else []
        parts += [f"{e.kind.replace('_', ' ').removesuffix('s')} {e.id}" for e in mine]
        rows.append((plugin.distribution, plugin.version, plugin.error or ", ".join(parts)))
    yield table(("distribution", "version", "provides"), rows)


def markdown(text: str) -> str:
    """Plain text of a docstring as Markdown: what stands in backquotes stays, the rest means nothing special."""
    return _MARKUP.sub(lambda found: found[1] or "\\" + found[2], text)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; text that could be taken for markup is escaped, except in cells that are code or a link."""
    lines = [head, tuple("---" for _ in head), *(tuple(map(_cell, row)) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    return text if re.fullmatch(r"`\w+`|\[\w+\]\([\w/.-]+\)", text) else markdown(text)


def fenced(language: str, text: str) -> str:
    fence = "`" * (2 + max([1, *(len(run) for run in re.findall("`+", text))]))
    return f"{fence}{language}\n{text}\n{fence}"


def _write(path: Path, blocks: Iterator[str]) -> None:
    """A page, left alone when it would not change, so that Sphinx makes only what is new."""
    text = "\n\n".join(blocks) + "\n"
    if not path.is_file() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
