"""``seisproc tables``: the tables of a project - velocities, mutes, statics, picks, edits - in versions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seisproc_core.errors import OutputExists, UsageError
from seisproc_terminal import output
from seisproc_terminal.options import json_option

if TYPE_CHECKING:
    from seisproc_core.data.table_versions import Version

_KINDS = ("velocity", "mute", "statics", "first_breaks", "picks", "horizons", "edits")
_FORMATS = ("csv", "columns", "su", "json", "handvel", "dix")
_path = click.Path(path_type=Path)
_folder = click.option("--dir", "folder", type=_path, default=Path("tables"), show_default=True,
                       help="Folder of the project's tables.")  # fmt: skip


@click.group(short_help="Keep velocities, mutes, statics, picks and edits in versions.")
def command() -> None:
    """Keep tables in versions: each is written once, with a checksum, and never changed.

    A flow names one version, `velocity = "tables/vel_v3"`, or the latest, `velocity = "tables/vel"`; what was used, and
    its checksum, stand in the output's provenance.

    \b
    Examples:
      seisproc tables import vel picks.par
      seisproc tables import static shots.csv --kind statics
      seisproc tables list
      seisproc tables show vel_v2
      seisproc tables export vel velocity.par --format su
    """


@command.command("import")
@click.argument("name")
@click.argument("source", type=_path)
@click.option("--kind", type=click.Choice(_KINDS), help="What it holds, where its columns do not tell.")
@click.option("--from", "given", type=click.Choice(_FORMATS), help="Format of SOURCE, where its content does not tell.")
@click.option("--time-unit", type=click.Choice(["ms", "s"]), default="ms", show_default=True,
              help="Of times in a text that does not name its columns.")  # fmt: skip
@_folder
@json_option
def import_(
    name: str, source: Path, kind: str | None, given: str | None, time_unit: str, folder: Path, as_json: bool
) -> None:
    """Take the text SOURCE in as the next version of the table NAME.

    Texts are CSV, TOML, columns with names, Seismic Unix parameters (velocities and mutes), and what
    `seisproc velocity` reads. Columns that are no values must be header words: they say which traces a row is for.

    \b
    Examples:
      seisproc tables import vel picks.par
      seisproc tables import mute mutes.par
      seisproc tables import bad observers_log.csv --kind edits
    """
    from seisproc_core.data.table_versions import add_version, versions_of
    from seisproc_velocity.table_kinds import kind_of_table, read_any

    table = read_any(source, given, time_unit=time_unit)
    told = kind_of_table(table, kind)
    before = len(versions_of(folder, name))
    version = add_version(table, folder, name, {"kind": told, "from": source.name})
    if as_json:
        output.document(_facts(version) | {"rows": len(table), "columns": list(table.columns)})
    elif len(versions_of(folder, name)) == before:
        output.show(f"{version.path}: the same as the latest version, which stays")
    else:
        output.show(f"{version.path}: version {version.number}, {len(table)} rows of {told}")


@command.command("list")
@_folder
@json_option
def list_(folder: Path, as_json: bool) -> None:
    """List the tables of the project, with the latest version of each.

    \b
    Examples:
      seisproc tables list
      seisproc tables list --dir survey7/tables --json
    """
    from seisproc_core.data.table_versions import all_versions

    latest = {version.name: version for version in all_versions(folder)}
    if as_json:
        output.document([_facts(version) for version in latest.values()])
        return
    if not latest:
        output.show(f"no tables in {folder}; seisproc tables import NAME FILE makes one")
        return
    rows = [(v.name, v.number, v.about.get("kind", ""), v.about.get("from", "")) for v in latest.values()]
    output.table(("table", "latest", "kind", "from"), rows)


@command.command()
@click.argument("name")
@_folder
@json_option
def versions(name: str, folder: Path, as_json: bool) -> None:
    """List all versions of the table NAME, and check each.

    \b
    Examples:
      seisproc tables versions vel
    """
    from seisproc_core.data.table_versions import find_version, versions_of

    found = versions_of(folder, find_version(folder, name).name)
    tables = [version.read() for version in found]
    if as_json:
        output.document([_facts(v) | {"rows": len(t)} for v, t in zip(found, tables, strict=True)])
        return
    rows = [
        (v.path.stem, len(t), v.about.get("kind", ""), v.about.get("from", ""), t.checksum[:12])
        for v, t in zip(found, tables, strict=True)
    ]
    output.table(("version", "rows", "kind", "from", "sha256"), rows)


@command.command()
@click.argument("name")
@_folder
@json_option
def show(name: str, folder: Path, as_json: bool) -> None:
    """Show the table NAME: a version, NAME_v2, or the latest.

    \b
    Examples:
      seisproc tables show vel
      seisproc tables show vel_v2 --json
    """
    from seisproc_core.data.table_versions import find_version

    version = find_version(folder, name)
    table = version.read()
    if as_json:
        output.document(_facts(version) | {"columns": table.to_json()})
        return
    output.table(list(table.columns), zip(*table.columns.values(), strict=True))


@command.command()
@click.argument("name")
@click.argument("out", type=_path)
@click.option("--format", "wanted", type=click.Choice(_FORMATS), help="Of the text.  [default: csv; su for .par]")
@click.option("--replace", is_flag=True, help="Replace an existing file.")
@_folder
@json_option
def export(name: str, out: Path, wanted: str | None, replace: bool, folder: Path, as_json: bool) -> None:
    """Write the table NAME (a version, NAME_v2, or the latest) to the text OUT for other programs.

    \b
    Examples:
      seisproc tables export vel velocity.csv
      seisproc tables export vel_v2 velocity.par
    """
    from seisproc_core.data.table_versions import find_version
    from seisproc_core.jobs.durable import whole_file
    from seisproc_velocity.table_kinds import kind_of_table, text_of

    if os.path.lexists(out) and not replace:
        raise OutputExists(f"{out} exists; choose another name, or --replace it")
    version = find_version(folder, name)
    if out.absolute() == version.path.absolute():
        raise UsageError(f"{out} is that version itself")
    table = version.read()
    kind = version.about.get("kind")
    kind = kind_of_table(table, kind if kind in _KINDS else None)
    text = text_of(table, kind, wanted or ("su" if out.suffix == ".par" else "csv"))
    with whole_file(out) as fresh:
        fresh.write_text(text, "utf-8")
    if as_json:
        output.document(_facts(version) | {"out": str(out)})
    else:
        output.show(f"{out}: {version.path.stem}, {len(table)} rows of {kind}")


def _facts(version: Version) -> dict[str, Any]:
    about = {key: value for key, value in version.about.items() if key not in ("version", "sha256")}
    sha256 = version.about.get("sha256") or version.read().checksum
    return {"name": version.name, "version": version.number, "path": str(version.path), "sha256": sha256, **about}
