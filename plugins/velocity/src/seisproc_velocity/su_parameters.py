"""Parameters of Seismic Unix programs: ``cdp=`` once, then two lists for each of its CDPs, as `sunmo` takes them.

`sumute` takes any header word instead of the CDP, ``ep=`` for one.
"""

from __future__ import annotations

import re

import numpy as np

from seisproc_core.data.tables import Table
from seisproc_core.data.words import WORDS, canonical
from seisproc_core.errors import UsageError


def read_functions(text: str, names: tuple[str, str], columns: tuple[str, str]) -> Table:
    """Functions along the line from ``cdp=1,2 tnmo=0,1 vnmo=1500,2000 tnmo=...``.

    Parameters
    ----------
    names
        Of the two lists, ``("tnmo", "vnmo")`` or ``("xmute", "tmute")``; each occurs once for every value of the header
        word, or once where there is none. ``#`` begins a comment; a list may go on after a comma on the next line.
    columns
        What the lists become in the table. A column in ``_ms`` is in seconds in the text.

    Raises
    ------
    UsageError
        Another word, something that is no number, or lists that do not belong together.
    """
    lists: dict[str, list[list[float]]] = {name: [] for name in names}
    joined = re.sub(r",\s+", ",", re.sub(r"#.*", "", text))
    for word in joined.split():
        name, equals, values = word.partition("=")
        own = name in names
        if not equals or not (own or canonical(name) in WORDS):
            wanted = " or ".join(f"{one}=" for one in names)
            raise UsageError(f"'{word[:40]}' is not {wanted}, nor a header word such as cdp=")
        try:
            numbers = [float(value) for value in values.strip("'\"").split(",") if value]
        except ValueError as error:
            raise UsageError(f"{name}= holds something that is no number") from error
        lists.setdefault(name if own else canonical(name), []).append(numbers)
    keys = [name for name in lists if name not in names]
    if len(keys) > 1:
        raise UsageError(f"{keys[0]}= and {keys[1]}=: functions belong to the values of one header word")
    places = [place for key in keys for one in lists[key] for place in one]
    first, second = lists[names[0]], lists[names[1]]
    if not first or len(first) != len(second) or len(first) != max(1, len(places)):
        told = f"{len(places)} {keys[0] if keys else 'cdp'}="
        raise UsageError(f"{told}, {len(first)} {names[0]}= and {len(second)} {names[1]}= do not belong together")
    for number, (one, other) in enumerate(zip(first, second, strict=True), 1):
        if len(one) != len(other):
            raise UsageError(f"function {number} has {len(one)} {names[0]}= and {len(other)} {names[1]}=")
    made = {keys[0]: np.repeat(places, [len(one) for one in first])} if places else {}
    for column, functions in zip(columns, (first, second), strict=True):
        made[column] = np.concatenate(functions) * (1000 if column.endswith("_ms") else 1)
    return Table(made)
