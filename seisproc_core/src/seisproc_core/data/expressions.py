"""Expressions over header words: a small language, parsed by a whitelist and computed on whole columns.

``abs(offset) < 2000 and cdp % 2 == 0`` is read by Python's own parser and never run as Python: only numbers, header
words, arithmetic, comparisons, conditions and the functions of `FUNCTIONS` are let through. Values are int64, float64
or truth values, one per trace, in SI units. What cannot be computed is an error that names expression, place and the
first trace: never another value.
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Iterator
from functools import lru_cache

import attrs
import numpy as np

from seisproc_core.data.headers import Headers
from seisproc_core.data.vectors import FUNCTIONS, Fault, Vector, arithmetic, bitwise, compare, condition, negative
from seisproc_core.data.words import canonical
from seisproc_core.errors import ExpressionError, HeaderError

MAX_LENGTH = 1000
MAX_DEPTH = 50
MAX_NAME = 64
BLOCK = 1 << 18  # traces computed at a time: bounds memory, and stays in cache
_SIGNS = set(" _.+-*/%()<>=!&|~,")
_JOINS = {ast.BitAnd: "&", ast.BitOr: "|"}
_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


@attrs.frozen(eq=False)
class Expression:
    """A parsed expression; make one with `parse`.

    Attributes
    ----------
    text
        As written, with single spaces.
    words
        Header words it needs, by their one name.
    """

    text: str
    words: tuple[str, ...]
    _tree: ast.expr

    @classmethod
    def parse(cls, text: str) -> Expression:
        """Read an expression.

        Raises
        ------
        ExpressionError
            It is longer than 1,000 characters, nested deeper than 50, no expression, or uses what is not allowed.
        """
        return _read(text)

    def evaluate(self, headers: Headers, where: np.ndarray | None = None) -> np.ndarray:
        """Values of all traces: int64, float64 or bool, shape ``(len(headers),)``.

        Parameters
        ----------
        where
            Traces that matter, bool; what fails for others is no error, and their values are arbitrary.

        Raises
        ------
        ExpressionError
            A word is absent, operands are of the wrong kind, or a value cannot be computed; says for which trace.
        """
        parts = []
        for start in range(0, max(len(headers), 1), BLOCK):
            rows = slice(start, min(start + BLOCK, len(headers)))
            block = headers if len(headers) <= BLOCK else headers.take(rows)
            made = self._compute(self._tree, block)
            self._raise_first(made.faults, headers, rows, None if where is None else where[rows])
            parts.append(np.broadcast_to(made.values, (len(block),)))
        return np.concatenate(parts)

    def condition(self, headers: Headers) -> np.ndarray:
        """Which traces it holds for, bool; `ExpressionError` also where it is a number, no condition."""
        values = self.evaluate(headers)
        if values.dtype != bool:
            raise ExpressionError(f"expression '{_short(self.text)}' is a number, not a condition; compare it")
        return values

    def _raise_first(self, faults: list[Fault], headers: Headers, rows: slice, where: np.ndarray | None) -> None:
        count = rows.stop - rows.start
        found = []
        for fault in faults:
            bad = np.broadcast_to(fault.rows, (count,))
            hit = np.flatnonzero(bad if where is None else bad & where)
            if hit.size:
                found.append((int(hit[0]), fault))
        if found:
            row, fault = min(found, key=lambda item: item[0])
            raise _refused(self.text, fault.column, f"{fault.what} at {trace_name(headers, rows.start + row)}")

    def _compute(self, node: ast.AST, headers: Headers) -> Vector:
        """The value of a node; recursion is bounded by `MAX_DEPTH`."""
        column = _column(self.text, node)
        try:
            return self._node(node, headers, column)
        except TypeError as error:  # operands of the wrong kind
            raise _refused(self.text, column, str(error)) from None
        except HeaderError as error:
            raise _refused(self.text, column, str(error)) from None

    def _node(self, node: ast.AST, headers: Headers, column: int) -> Vector:
        match node:
            case ast.Constant():
                return Vector.constant(node.value)  # type: ignore[arg-type]
            case ast.Name():
                return Vector.word(headers[node.id], node.id, column)
            case ast.UnaryOp():
                value = self._compute(node.operand, headers)
                return negative(type(node.op).__name__, value, column)
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
                left, right = self._compute(node.left, headers), self._compute(node.right, headers)
                return bitwise(_JOINS[type(node.op)], left, right)
            case ast.BinOp():
                left, right = self._compute(node.left, headers), self._compute(node.right, headers)
                return arithmetic(_OPERATORS[type(node.op)], left, right, column)
            case ast.BoolOp():
                parts = [self._compute(value, headers) for value in node.values]
                return condition(isinstance(node.op, ast.And), parts)
            case ast.Compare():
                operands = [self._compute(value, headers) for value in (node.left, *node.comparators)]
                signs = [_OPERATORS[type(op)] for op in node.ops]
                return compare(signs, operands)
            case ast.Call(func=ast.Name(id=name)):
                if name == "stored":
                    argument = node.args[0]
                    assert isinstance(argument, ast.Name)
                    return Vector.word(headers.column(argument.id), argument.id, column)
                return FUNCTIONS[name].apply([self._compute(value, headers) for value in node.args], column)
        raise AssertionError(f"{type(node).__name__} was let through")


@lru_cache(maxsize=256)
def _read(text: str) -> Expression:
    """See `Expression.parse`; steps read theirs again for every batch."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression of {len(text)} characters is too long; {MAX_LENGTH} are allowed")
    text = " ".join(text.split())
    if not text:
        raise ExpressionError("an expression is empty")
    for column, sign in enumerate(text, 1):
        if sign not in _SIGNS and not (sign.isidentifier() or sign.isdecimal()):
            raise _refused(text, column, f"{sign!r} is not allowed")
    tree = _parsed(text)
    for node, depth in _walk(tree):
        if depth > MAX_DEPTH:
            raise _refused(text, _column(text, node), f"nested deeper than {MAX_DEPTH}")
        _check(text, node)
    return Expression(text, tuple(sorted({canonical(name.id) for name in _loaded(tree)})), tree)


def trace_name(headers: Headers, row: int) -> str:
    """How messages name a trace: its number from 1 on, and the words by which people know it."""
    words = [word for word in ("field_record", "channel", "cdp") if word in headers][:2]
    known = ", ".join(f"{word} {headers.column(word)[row]}" for word in words)
    return f"trace {row + 1}{f' ({known})' if known else ''}"


def assignment(text: str) -> tuple[str, Expression]:
    """The word and the expression of ``word = expression``."""
    name, equals, right = text.partition("=")
    name = name.strip()
    if not equals or right.startswith("=") or not name.isidentifier():
        raise ExpressionError(f"'{_short(text)}' assigns nothing: write word = expression, e.g. cdp = field_record * 2")
    return canonical(name), Expression.parse(right)


def _parsed(text: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        column = error.offset or 1
        hint = "; write == to compare" if text[column - 1 : column] == "=" else ""
        raise _refused(text, min(column, len(text)), f"this is not an expression{hint}") from None
    except (ValueError, MemoryError, RecursionError):
        raise _refused(text, 1, f"nested deeper than {MAX_DEPTH}, or a number of too many digits") from None


def _walk(tree: ast.expr) -> Iterator[tuple[ast.expr, int]]:
    """All nodes that are expressions, with their depth; without recursion."""
    waiting = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        waiting += [(child, depth + 1) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def _loaded(tree: ast.expr) -> Iterator[ast.Name]:
    """Names that stand for header words, not for functions."""
    functions = {id(node.func) for node, _ in _walk(tree) if isinstance(node, ast.Call)}
    return (node for node, _ in _walk(tree) if isinstance(node, ast.Name) and id(node) not in functions)


def _check(text: str, node: ast.expr) -> None:
    """Refuse every kind of node that is not on the list."""
    problem: str | None = None
    match node:
        case ast.Constant(value=bool() | None as value):
            problem = f"{value} is not allowed; conditions are comparisons"
        case ast.Constant(value=int() as number):
            problem = "the number does not fit into 64 bits" if number >= 1 << 63 else None
        case ast.Constant(value=float() as number):
            problem = None if math.isfinite(number) else "the number is too large"
        case ast.Name(id=name):
            problem = "this name is too long" if len(name) > MAX_NAME else None
        case ast.BoolOp() | ast.UnaryOp():
            problem = None
        case ast.BinOp(op=op):
            problem = None if type(op) in _OPERATORS or type(op) in _JOINS else "this operator is not allowed"
        case ast.Compare():
            problem = _comparison(node)
        case ast.Call():
            problem = _call(node)
        case _:
            problem = f"{_KINDS.get(type(node).__name__, 'this')} is not allowed"
    if problem:
        raise _refused(text, _column(text, node), problem)


_KINDS = {
    "Attribute": "an attribute (.)", "IfExp": "if ... else (write where(condition, yes, no))", "Lambda": "lambda",
    "Tuple": "a list", "GeneratorExp": "a loop", "Constant": "such a constant", "Starred": "*", "Await": "await",
}  # fmt: skip


def _comparison(node: ast.Compare) -> str | None:
    if any(type(op) not in _OPERATORS for op in node.ops):
        return "only == != < <= > >= compare"
    operands = [node.left, *node.comparators]
    if len(node.ops) > 1 and any(isinstance(o, ast.BinOp) and type(o.op) in _JOINS for o in operands):
        return "& and | bind tighter than comparisons: put each comparison in parentheses, or write and, or"
    return None


def _call(node: ast.Call) -> str | None:
    if not isinstance(node.func, ast.Name) or (node.func.id != "stored" and node.func.id not in FUNCTIONS):
        return f"there is no such function; there are {', '.join(sorted({*FUNCTIONS, 'stored'}))}"
    name = node.func.id
    if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
        return f"{name} takes plain values"
    if name == "stored":
        is_word = len(node.args) == 1 and isinstance(node.args[0], ast.Name)
        return None if is_word else "stored takes one header word"
    low, high = FUNCTIONS[name].count
    if not low <= len(node.args) <= high:
        wanted = f"{low}" if low == high else f"{low} or more"
        return f"{name} takes {wanted} value{'' if wanted == '1' else 's'}, not {len(node.args)}"
    return None


def _column(text: str, node: ast.AST) -> int:
    """Where a node begins, in characters from 1 on; the parser counts bytes of UTF-8."""
    offset = getattr(node, "col_offset", 0)
    return (offset if text.isascii() else len(text.encode()[:offset].decode(errors="ignore"))) + 1


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."


def _refused(text: str, column: int, problem: str) -> ExpressionError:
    return ExpressionError(f"expression '{_short(text)}', column {column}: {problem}")
