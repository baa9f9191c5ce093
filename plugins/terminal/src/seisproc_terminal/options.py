"""Options that several commands share."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import click

from seisproc_core.errors import SeisprocError, UsageError

Command = TypeVar("Command", bound=Callable[..., Any])


def _or_of_group(ctx: click.Context, option: click.Parameter, value: bool) -> bool:
    """`seisproc jobs --json list` means the same as `seisproc jobs list --json`."""
    return value or bool(ctx.parent and ctx.parent.params.get("as_json"))


json_option = click.option(
    "--json", "as_json", is_flag=True, callback=_or_of_group, help="Print one JSON document on stdout, and no progress."
)

variables_option = click.option(
    "--var", "variables", multiple=True, metavar="NAME=VALUE",
    help="Set a variable that the flow declares. May be repeated.",
)  # fmt: skip
axis_option = click.option(
    "--axis", metavar="WORD", help="Header word along the horizontal axis.  [default: one that varies]"
)
clip_option = click.option(
    "--clip", default=98.0, show_default=True, type=click.FloatRange(1, 100), metavar="PERCENT",
    help="Share of the samples inside the amplitude scale.",
)  # fmt: skip

_PLACE_HELP = "Read one more header word: its name, first byte and type (i1 i2 i4 u1 u2 u4 f4 ...). May be repeated."
_READING = (
    click.option("--kind", type=click.Choice(["segy", "su"]), help="What the files are, where detection errs."),
    click.option("--endian", type=click.Choice(["big", "little"]), help="Byte order, where detection errs."),
    click.option("--format", type=int, metavar="CODE", help="Sample format code, where the file says wrongly."),
    click.option("--samples", type=click.IntRange(1), help="Samples per trace, where the file says wrongly."),
    click.option("--interval-us", type=float, help="Sample interval in microseconds, whatever the file says."),
    click.option("--text-encoding", type=click.Choice(["ebcdic", "ascii"]), help="Encoding of the text header."),
    click.option("--revision", metavar="MAJOR[.MINOR]", help="SEG-Y revision, where the file says wrongly."),
    click.option("--header-map", metavar="NAME|FILE.toml",
                 help="Where header words lie: rev0 rev1 rev2 su passcal petrel-3d petrel-2d, layout (as the file "
                 "states it), or a TOML file.  [default: rev1]"),
    click.option("--word", "places", multiple=True, metavar="NAME=BYTE:TYPE", help=_PLACE_HELP),
    click.option("--lengths", type=click.Choice(["same", "pad"]),
                 help="Traces of varying length: refuse them, or pad them to the longest.  [default: same]"),
    click.option("--lenient", is_flag=True, help="Accept files with a damaged end: take the whole traces."),
)  # fmt: skip


def reading_options(command: Command) -> Command:
    """How to read a SEG-Y or SU file where detection is to be overruled; collect them with `given`."""
    for option in reversed(_READING):
        command = option(command)
    return errors_as_typed(command)


# Options of the format as a flow or a program writes them: `samples=`, `interval_us = N`, `kind="su"`, `lenient=True`.
_OPTION = re.compile(
    r"(?<=\s)(kind|endian|format|samples|interval_us|delay_ms|text_encoding|lenient|nan|length_unit|revision|descale|"
    r"field_record|lengths|delays|header_map|scaling)"
    r"\s?=(?:\s?(?:\"(\w+)\"|(N|\d+)\b|[Tt]rue|\.\.\.))?"
)
_SET = re.compile(r"\bset = \{ (\w+) = (\w+) \}")
_PARAMETER = re.compile(r"^seg[y2]: parameter '(\w+)'")


def as_typed(message: str) -> str:
    """A message about options of the file format, in the terms of the command line."""
    message = _SET.sub(r"--set \1=\2", message)
    message = _PARAMETER.sub(lambda found: "--word" if found[1] == "words" else _dashed(found[1]), message)
    return _OPTION.sub(lambda found: " ".join(filter(None, (_dashed(found[1]), found[2] or found[3]))), message)


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def errors_as_typed(command: Command) -> Command:
    """Make the errors of a command speak of its options as they are typed."""

    @functools.wraps(command)
    def translated(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except SeisprocError as error:
            error.args = (as_typed(str(error)),)
            raise

    return translated  # type: ignore[return-value]


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, as the file format knows them."""
    options = {name: value for name, value in values.items() if value is not None and value is not False}
    if places := options.pop("places", ()):
        options["words"] = dict(place_of(text) for text in places)
    if fixed := options.pop("fixed", ()):
        options["set"] = dict(_value(text) for text in fixed)
    if str(options.get("header_map", "")).lower().endswith(".toml"):  # workers may run elsewhere
        options["header_map"] = os.path.abspath(options["header_map"])
    return options


def _value(text: str) -> tuple[str, float]:
    """``coordinate_scalar=-100`` as name and number."""
    name, _, value = text.partition("=")
    try:
        return name.strip(), int(value) if re.fullmatch(r"\s*[+-]?\d+\s*", value) else float(value)
    except ValueError:
        raise UsageError(f"--set {text}: write word=value, e.g. coordinate_scalar=-100") from None


@attrs.frozen(kw_only=True)
class How:
    """How a job is to be run: the options of every command that starts one."""

    executor: str | None = None
    workers: int | None = None
    priority: int = 5
    after: tuple[str, ...] = ()
    detach: bool = False
    replace: bool = False
    resume: bool = False
    discard: bool = False

    def submitted(self) -> dict[str, Any]:
        """Arguments for `Engine.submit`."""
        names = ("priority", "after", "detach", "replace", "resume", "discard")
        return {name: getattr(self, name) for name in names}


_WHERE = (
    click.option("--executor", metavar="ID", help="What runs the work: processes, threads, ray, ..."),
    click.option("--workers", type=click.IntRange(1, 255), help="Workers to run on.  [default: one per CPU]"),
)
_DETACH = click.option("--detach", is_flag=True, help="Queue it and return; it goes on when the shell closes.")
_QUEUE = (
    click.option("--priority", type=click.IntRange(0, 9), default=5, show_default=True, help="9 goes first."),
    click.option(
        "--after",
        multiple=True,
        metavar="JOB",
        help="Start when this job, or group of jobs, is complete. May be repeated.",
    ),
)
_OUTPUT = (
    click.option("--replace", is_flag=True, help="Replace an existing output, once the new one is whole."),
    click.option("--resume", is_flag=True, help="Go on where the same job stopped; do nothing if it is done."),
    click.option("--discard", is_flag=True, help="Throw away an unfinished output of an earlier, different job."),
)


def job_options(command: Command) -> Command:
    """Where, when and over what a job runs; the command gets them as one `How`, ``how``."""
    return _collected(command, (*_OUTPUT, *_WHERE, _DETACH, *_QUEUE))


def again_options(command: Command) -> Command:
    """Where a job goes on whose output and flow are given; the command gets a `How`, ``how``."""
    return _collected(command, (*_WHERE, _DETACH))


def worker_options(command: Command) -> Command:
    """What the jobs of a command that starts several run on; the command gets a `How`, ``how``."""
    return _collected(command, _WHERE)


def _collected(command: Command, options: Sequence[Callable[[Any], Any]]) -> Command:
    @functools.wraps(command)
    def with_how(*args: Any, **kwargs: Any) -> Any:
        how = How(**{field.name: kwargs.pop(field.name) for field in attrs.fields(How) if field.name in kwargs})
        return command(*args, how=how, **kwargs)

    made: Command = with_how  # type: ignore[assignment]
    for option in reversed(options):
        made = option(made)
    return made


def words_of(text: str) -> tuple[str, ...]:
    """Header words from ``a,b``."""
    from seisproc_core.data.words import canonical

    names = tuple(canonical(name.strip()) for name in text.split(",") if name.strip())
    if not names:
        raise UsageError(f"'{text}' names no header word; write word,word")
    return names


def place_of(text: str) -> tuple[str, list[Any]]:
    """``polarity=233:i2`` as name and [byte, type]."""
    name, equals, place = text.partition("=")
    byte, colon, type_ = place.partition(":")
    if not (name and equals and colon and byte.isdigit() and type_):
        raise UsageError(f"--word {text}: write name=byte:type, e.g. polarity=233:i2")
    return name, [int(byte), type_]


def rows_of(text: str, count: int) -> slice:
    """Rows ``first:end`` (or one row) of `count`, as Python counts them."""
    first, colon, end = text.partition(":")
    try:
        low = int(first) if first else 0
        high = (int(end) if end else count) if colon else low + 1
    except ValueError:
        raise UsageError(f"--rows {text}: write first:end, e.g. 0:20") from None
    if not count:
        raise UsageError("there is no trace to show")
    if not 0 <= low < min(high, count):
        raise UsageError(f"--rows {text}: there are rows 0:{count}")
    return slice(low, min(high, count))
