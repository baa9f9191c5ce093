"""Queries as the database reads them."""

from __future__ import annotations

from seisproc_core.jobs.store import Query
from seisproc_jobstore.rows import text

LAST = "\U0010ffff"  # sorts after whatever a text may go on with


def where(query: Query) -> tuple[str, list[object]]:
    """A query as an SQL condition over `jobs`, without `limit` and `offset`."""
    terms, values = ["1"], list[object]()
    for name, chosen in (("state", query.states), ("type", query.types)):
        if chosen:
            terms.append(f"{name} IN ({', '.join('?' * len(chosen))})")
            values += sorted(text(str(value)) for value in chosen)
    if query.text:
        terms.append("instr(words, ?)")
        values.append(text(query.text.casefold()))
    if query.part_of:
        terms.append("part_of <> '' AND part_of >= ? AND part_of < ?")
        values += [text(query.part_of), text(query.part_of) + LAST]
    for sign, moment in ((">=", query.since), ("<", query.until)):
        if moment is not None:
            terms.append(f"created {sign} ?")
            values.append(moment)
    return " AND ".join(terms), values
