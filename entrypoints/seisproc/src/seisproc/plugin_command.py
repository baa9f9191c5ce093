"""``seisproc plugin``: for authors of plugins."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from seisproc.licences import LICENCES
from seisproc_terminal import output
from seisproc_terminal.options import json_option


@click.group(short_help="Write a plugin of your own.")
def plugin() -> None:
    """Write a plugin of your own.

    \b
    Examples:
      seisproc plugin new seisproc-despike
    """


@plugin.command()
@click.argument("name")
@click.option("--processor", metavar="NAME", help="The step's name.  [default: NAME without seisproc-]")
@click.option("--into", type=click.Path(path_type=Path), default=Path(),
              help="Folder to write it into.  [default: here]")  # fmt: skip
@click.option("--licence", type=click.Choice([*LICENCES, "none"]), default="BSD-3-Clause", show_default=True,
              help="Its licence; none: all rights reserved, until you choose.")  # fmt: skip
@click.option("--author", help="Your name.  [default: that of your account]")
@json_option
def new(name: str, processor: str | None, into: Path, licence: str, author: str | None, as_json: bool) -> None:
    """Write the distribution NAME into a new folder: a processor with a NumPy and a Numba kernel, tests, documentation.

    It works as it is and passes its tests; change it step by step into yours.

    \b
    Examples:
      seisproc plugin new seisproc-despike
      seisproc plugin new acme-seismic --processor acme_shape --licence MIT --author "A. Hydro"
    """
    from seisproc.new_plugin import new_plugin

    made = new_plugin(name, into, processor=processor, licence=licence, author=author or _account())
    if as_json:
        output.document({"path": str(made), "name": name})
        return
    output.show(f"{made}: a plugin. Next:")
    output.show(f'  pip install -e "{made}[test]"')
    output.show(f"  cd {made} && pytest")


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "the author"
