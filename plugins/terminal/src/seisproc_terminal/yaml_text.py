"""Plain JSON values as YAML in blocks, as YAML 1.1 and 1.2 read it alike: so all texts are in quotes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # not what they look like in YAML 1.1


def yaml_lines(value: Any, indent: str = "") -> Iterator[str]:
    """Lines of a YAML document.

    Parameters
    ----------
    value
        Mappings with text keys, lists, text, numbers, booleans and None, as `output.plain` makes them.
    """
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _entry(f"{indent}{_key(str(key))}:", item, indent + "  ")
    elif isinstance(value, list) and value:
        for item in value:
            yield from _entry(f"{indent}-", item, indent + "  ")
    else:
        yield indent + _scalar(value)


def _entry(begin: str, item: Any, indent: str) -> Iterator[str]:
    if isinstance(item, (Mapping, list)) and item:
        yield begin
        yield from yaml_lines(item, indent)
    else:
        yield f"{begin} {_scalar(item)}"


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z_]\w*", text, re.ASCII) and text.lower() not in _WORDS else _scalar(text)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        return "".join(c if c.isprintable() else _escape(ord(c)) for c in text)
    if isinstance(value, float):
        text = repr(value)
        return text if "e" not in text or "." in text else text.replace("e", ".0e")
    return json.dumps(value)


def _escape(code: int) -> str:
    """A character by its number; one half of a pair, which is none, as the sign for that."""
    return "\\ufffd" if 0xD800 <= code < 0xE000 else f"\\U{code:08x}"
