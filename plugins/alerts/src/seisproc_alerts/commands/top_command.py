"""``seisproc top``: the machine and the jobs that run on it, live."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from seisproc_core.errors import SeisprocError
from seisproc_terminal import output
from seisproc_terminal.options import json_option

if TYPE_CHECKING:
    from seisproc_alerts.top import Background, Collector, View

_PATIENCE_S = 10.0
_SETTLE_S = 0.3
_FIRST_S = 0.1
_LATE_S = 5.0


@click.command(short_help="Watch the machine and running jobs.")
@click.option("--once", is_flag=True, help="Show it once and end.")
@click.option("--interval", "every_s", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True,
              metavar="SECONDS", help="Time between two looks.")  # fmt: skip
@json_option
def command(once: bool, every_s: float, as_json: bool) -> None:
    """Watch the machine and running jobs: CPU, memory, disks, network, GPUs; each job with its workers.

    On a terminal the display is live, and q or Ctrl-C ends it; elsewhere text is printed at every look. --json implies
    --once.

    \b
    Examples:
      seisproc top
      seisproc top --interval 5
      seisproc top --once --json
    """
    from seisproc_alerts.top import Background

    # Two looks, so that rates can be told.
    watching = Background(_collector(), min(every_s, _SETTLE_S) if once or as_json else every_s)
    try:
        if once or as_json:
            view = watching.latest(looks=2, timeout_s=_PATIENCE_S)
            if view is None:
                raise SeisprocError(f"no answer within {_PATIENCE_S:g} s; does some file system hang?")
            _show(view, as_json)
        elif sys.stdout.isatty():
            _watch(watching, every_s)
        else:
            while True:
                view = watching.latest(timeout_s=_PATIENCE_S)
                if view is not None:
                    _show(view, as_json=False)
                    sys.stdout.flush()
                time.sleep(every_s)
    except KeyboardInterrupt:
        return
    finally:
        watching.close()


def _collector() -> Collector:
    from seisproc_alerts.top import Collector
    from seisproc_terminal.jobs import durable_store

    try:
        return Collector(durable_store())
    except SeisprocError as error:
        return Collector(None, str(error))


def _show(view: View, as_json: bool) -> None:
    from seisproc_alerts.display import plain

    if as_json:
        output.document(view.to_json())
    else:
        click.echo(plain(view))


def _watch(watching: Background, every_s: float) -> None:
    """Redraw until q is pressed. Looking goes on beside it, so a key is always heard."""
    from rich.console import Console
    from rich.live import Live

    from seisproc_alerts.display import live

    console = Console()
    with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as display:
        while True:
            view = watching.latest()
            if view is not None:
                age = time.monotonic() - view.taken
                display.update(live(view, age if age > every_s + _LATE_S else 0.0), refresh=True)
            if pressed(every_s if view is not None else _FIRST_S) in ("q", "Q", "\x1b", "\x04"):
                return


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Waits for a key for so many seconds; "" when none came. Keys are not echoed meanwhile."""
    if not sys.stdin.isatty():
        yield _no_key
        return
    import termios
    import tty

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)

    def pressed(wait_s: float) -> str:
        ready, _, _ = select.select([handle], [], [], wait_s)
        return sys.stdin.read(1) if ready else ""

    try:
        tty.setcbreak(handle)
        yield pressed
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _no_key(wait_s: float) -> str:
    time.sleep(wait_s)
    return ""
