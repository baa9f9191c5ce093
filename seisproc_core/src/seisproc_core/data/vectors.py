"""Arithmetic on header columns that notes where it fails: what expressions over header words are computed with.

An operation that cannot be done for some traces leaves a `Fault` with those traces, and goes on with the others. A
fault counts only if the value is used in the end: ``where(offset > 0, 1 / offset, 0)`` divides by zero where nobody
looks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np

_INT_LIMIT = 2.0**63


@attrs.frozen(eq=False)
class Fault:
    """What failed, for which traces (bool, broadcasts to all), and at which column of the expression."""

    rows: np.ndarray
    what: str
    column: int

    def among(self, rows: np.ndarray) -> Fault:
        """The fault as far as it concerns some traces."""
        return Fault(self.rows & rows, self.what, self.column)


@attrs.frozen(eq=False)
class Vector:
    """int64, float64 or bool values, one per trace or one for all (shape ``(1,)``), and what failed on the way."""

    values: np.ndarray
    faults: list[Fault] = attrs.field(factory=list)
    is_constant: bool = False

    @classmethod
    def constant(cls, number: float) -> Vector:
        return cls(np.array([number], np.int64 if isinstance(number, int) else np.float64), is_constant=True)

    @classmethod
    def word(cls, column: np.ndarray, name: str, at: int) -> Vector:
        """A header word; NaN in it is a fault, and so are integers beyond int64."""
        if column.dtype.kind == "f":
            return checked(column.astype(np.float64), [], at, f"'{name}'")
        values = column.astype(np.int64)
        if column.dtype == np.uint64:
            return _with_fault(values, [], values < 0, f"'{name}' is beyond 64 bits", at)
        return cls(values)

    @property
    def is_condition(self) -> bool:
        return self.values.dtype == bool

    def number(self) -> Vector:
        """Truth values as 0 and 1."""
        return attrs.evolve(self, values=self.values.astype(np.int64)) if self.is_condition else self

    def real(self) -> np.ndarray:
        return self.values.astype(np.float64)


def checked(values: np.ndarray, faults: list[Fault], at: int, what: str = "the result") -> Vector:
    """Floats; those that are not finite become faults."""
    bad = ~np.isfinite(values)
    if not bad.any():
        return Vector(values, faults)
    nan = np.isnan(values)
    found = [Fault(nan, f"{what} is not a number (NaN)", at), Fault(bad & ~nan, f"{what} is too large", at)]
    # Later operations shall not fail again for the same reason.
    return Vector(np.where(bad, 1.0, values), [*faults, *found])


def _with_fault(values: np.ndarray, faults: list[Fault], bad: np.ndarray, what: str, at: int) -> Vector:
    if not bad.any():
        return Vector(values, faults)
    return Vector(np.where(bad, np.ones((), values.dtype), values), [*faults, Fault(bad, what, at)])


def negative(operator: str, value: Vector, at: int) -> Vector:
    """``-x``, ``+x``, ``not x`` and ``~x`` by the parser's names of them."""
    if operator == "Not" or (operator == "Invert" and value.is_condition):
        if not value.is_condition:
            raise TypeError("'not' needs a condition; compare the number with something")
        return Vector(~value.values, value.faults)
    value = value.number()
    if operator == "UAdd":
        return value
    if operator == "Invert":
        if value.values.dtype != np.int64:
            raise TypeError("~ needs a condition or whole numbers")
        return Vector(~value.values, value.faults)
    if value.values.dtype == np.int64:
        lowest = value.values == np.iinfo(np.int64).min
        with np.errstate(over="ignore"):
            return _with_fault(-value.values, value.faults, lowest, "the result is too large", at)
    return Vector(-value.values, value.faults)


def arithmetic(sign: str, left: Vector, right: Vector, at: int) -> Vector:
    """``+ - * / // % **``: whole numbers stay whole, but for ``/`` and powers that are not constants from 0 on."""
    left, right = left.number(), right.number()
    faults = left.faults + right.faults
    whole = left.values.dtype == right.values.dtype == np.int64
    if sign == "**":
        whole = whole and right.is_constant and bool(right.values[0] >= 0)
    with np.errstate(all="ignore"):
        if whole and sign != "/":
            return _whole(sign, left.values, right.values, faults, at)
        a, b = left.real(), right.real()
        if sign in ("/", "//", "%") or sign == "**":
            zero = b == 0 if sign != "**" else (a == 0) & (b < 0)
            if zero.any():
                faults = [*faults, Fault(zero, "division by zero", at)]
                a, b = (np.where(zero, 1.0, a), np.where(zero, 1.0, b))
        return checked(_REAL[sign](a, b), faults, at)


_REAL: dict[str, Callable[..., np.ndarray]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "//": np.floor_divide, "%": np.mod, "**": np.power,
}  # fmt: skip


def _whole(sign: str, a: np.ndarray, b: np.ndarray, faults: list[Fault], at: int) -> Vector:
    """Exact int64 arithmetic; what does not fit is a fault."""
    if sign in ("//", "%"):
        zero = b == 0
        if zero.any():
            faults = [*faults, Fault(np.broadcast_to(zero, np.broadcast(a, b).shape), "division by zero", at)]
            b = np.where(zero, 1, b)
    result = _REAL[sign](a, b)
    # The same in float64 tells what has wrapped round: a wrapped result is wrong by 2**64.
    estimate = _REAL[sign](a.astype(np.float64), b.astype(np.float64))
    return _with_fault(result, faults, ~(np.abs(estimate) < _INT_LIMIT), "the result is too large", at)


def compare(signs: Sequence[str], operands: Sequence[Vector]) -> Vector:
    """``a < b <= c`` and the like: all must hold."""
    faults = [fault for operand in operands for fault in operand.faults]
    values: np.ndarray | None = None
    for sign, left, right in zip(signs, operands[:-1], operands[1:], strict=True):
        holds = _COMPARE[sign](left.number().values, right.number().values)
        values = holds if values is None else values & holds
    assert values is not None
    return Vector(values, faults)


_COMPARE: dict[str, Callable[..., np.ndarray]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip


def condition(every: bool, parts: Sequence[Vector]) -> Vector:
    """``and`` (`every`) or ``or``: a part that no longer matters for a trace cannot fail for it."""
    for part in parts:
        if not part.is_condition:
            raise TypeError("'and' and 'or' join conditions; compare the number with something")
    values, faults = parts[0].values, list(parts[0].faults)
    for part in parts[1:]:
        matters = values if every else ~values
        faults += [fault.among(matters) for fault in part.faults]
        values = values & part.values if every else values | part.values
    return Vector(values, faults)


def bitwise(sign: str, left: Vector, right: Vector) -> Vector:
    """``&`` and ``|`` of two conditions, or bit by bit of two whole numbers."""
    kinds = {left.values.dtype.kind, right.values.dtype.kind}
    if kinds not in ({"b"}, {"i"}):
        raise TypeError(f"{sign} joins two conditions in parentheses, or two whole numbers")
    values = left.values & right.values if sign == "&" else left.values | right.values
    return Vector(values, left.faults + right.faults)


@attrs.frozen
class Function:
    """A function of expressions: how many values it takes (least, most), and what it does."""

    count: tuple[int, int]
    apply: Callable[[list[Vector], int], Vector]


def _real_function(operation: Callable[..., np.ndarray], count: int = 1) -> Function:
    def apply(arguments: list[Vector], at: int) -> Vector:
        faults = [fault for argument in arguments for fault in argument.faults]
        with np.errstate(all="ignore"):
            return checked(operation(*(argument.real() for argument in arguments)), faults, at)

    return Function((count, count), apply)


def _logarithm(operation: Callable[..., np.ndarray]) -> Function:
    def apply(arguments: list[Vector], at: int) -> Vector:
        values = arguments[0].real()
        bad = values <= 0
        safe = _with_fault(values, arguments[0].faults, bad, "logarithm of a number that is not above 0", at)
        return Vector(operation(safe.values), safe.faults)

    return Function((1, 1), apply)


def _root(arguments: list[Vector], at: int) -> Vector:
    values = arguments[0].real()
    safe = _with_fault(values, arguments[0].faults, values < 0, "square root of a negative number", at)
    return Vector(np.sqrt(safe.values), safe.faults)


def _rounding(operation: Callable[..., np.ndarray]) -> Function:
    """Whole numbers of real ones."""

    def apply(arguments: list[Vector], at: int) -> Vector:
        value = arguments[0].number()
        if value.values.dtype == np.int64:
            return value
        rounded = operation(value.values)
        bad = ~(np.abs(rounded) < _INT_LIMIT)
        safe = _with_fault(rounded, value.faults, bad, "the result is too large", at)
        return Vector(safe.values.astype(np.int64), safe.faults)

    return Function((1, 1), apply)


def _nearest(values: np.ndarray) -> np.ndarray:
    """The nearest whole number, halves away from zero."""
    below = np.trunc(values)
    nearest: np.ndarray = np.where(np.abs(values - below) >= 0.5, below + np.sign(values), below)
    return nearest


def _absolute(arguments: list[Vector], at: int) -> Vector:
    value = arguments[0].number()
    opposite = negative("USub", value, at)
    values = np.where(value.values < 0, opposite.values, value.values)
    return Vector(values, value.faults + opposite.faults[len(value.faults) :])


def _sign(arguments: list[Vector], at: int) -> Vector:
    value = arguments[0].number()
    return Vector(np.sign(value.values), value.faults)


def _extreme(operation: Callable[..., np.ndarray]) -> Function:
    def apply(arguments: list[Vector], at: int) -> Vector:
        values = arguments[0].number().values
        for argument in arguments[1:]:
            values = operation(values, argument.number().values)
        return Vector(values, [fault for argument in arguments for fault in argument.faults])

    return Function((2, 99), apply)


def _where(arguments: list[Vector], at: int) -> Vector:
    chosen, yes, no = arguments
    if not chosen.is_condition:
        raise TypeError("where needs a condition first, as where(offset < 0, -1, 1)")
    if yes.is_condition != no.is_condition:
        yes, no = yes.number(), no.number()
    faults = [*chosen.faults, *(fault.among(chosen.values) for fault in yes.faults)]
    faults += [fault.among(~chosen.values) for fault in no.faults]
    return Vector(np.where(chosen.values, yes.values, no.values), faults)


def _isin(arguments: list[Vector], at: int) -> Vector:
    wanted = arguments[0].number().values
    values = np.zeros(wanted.shape, bool)
    for argument in arguments[1:]:
        values = values | (wanted == argument.number().values)
    return Vector(values, [fault for argument in arguments for fault in argument.faults])


FUNCTIONS: dict[str, Function] = {
    "abs": Function((1, 1), _absolute),
    "sign": Function((1, 1), _sign),
    "sqrt": Function((1, 1), _root),
    "exp": _real_function(np.exp),
    "log": _logarithm(np.log),
    "log10": _logarithm(np.log10),
    "sin": _real_function(np.sin),
    "cos": _real_function(np.cos),
    "tan": _real_function(np.tan),
    "asin": _real_function(np.arcsin),
    "acos": _real_function(np.arccos),
    "atan": _real_function(np.arctan),
    "atan2": _real_function(np.arctan2, 2),
    "hypot": _real_function(np.hypot, 2),
    "degrees": _real_function(np.degrees),
    "radians": _real_function(np.radians),
    "floor": _rounding(np.floor),
    "ceil": _rounding(np.ceil),
    "trunc": _rounding(np.trunc),
    "round": _rounding(_nearest),
    "min": _extreme(np.minimum),
    "max": _extreme(np.maximum),
    "where": Function((3, 3), _where),
    "isin": Function((2, 99), _isin),
}
# The names NumPy has for some of them.
FUNCTIONS |= {
    "minimum": FUNCTIONS["min"], "maximum": FUNCTIONS["max"], "arcsin": FUNCTIONS["asin"],
    "arccos": FUNCTIONS["acos"], "arctan": FUNCTIONS["atan"], "arctan2": FUNCTIONS["atan2"],
}  # fmt: skip
