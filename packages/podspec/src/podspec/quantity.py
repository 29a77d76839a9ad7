"""Kubernetes quantities, exactly: `100m`, `1.5Gi`, `2e3`. No float ever touches them.

The grammar and the rounding are apimachinery's resource.Quantity: finer than a billionth is rounded
up (some is not none), and more than 2^63-1 is cut to that.
"""

import math
import re
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from podspec.errors import QuantityError

MAXIMUM: Final = Fraction(2**63 - 1)
_NANO: Final = Fraction(1, 10**9)

_DECIMAL: Final = {
    "n": -9,
    "u": -6,
    "m": -3,
    "": 0,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
    "E": 18,
}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_GRAMMAR: Final = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<part>[0-9]*))?"
    r"(?:[eE](?P<exponent>[+-]?[0-9]+)|(?P<suffix>[KMGTPE]i|[numkMGTPE]?))"
)
# Beyond these a number only burns time on its way to the maximum, or to nothing.
_EXPONENT_LIMIT: Final = 1000
_LENGTH_LIMIT: Final = 1000


def parse_quantity(value: Any) -> Fraction:
    """The amount; YAML and JSON may give a number instead of a string, which means the same."""
    # str(True) does not match either, so a boolean is no quantity.
    amount = _amount_of(str(value)) if isinstance(value, int | float | str) else None
    if amount is None:
        raise QuantityError(value)
    return amount


@lru_cache(maxsize=1024)
def _amount_of(text: str) -> Fraction | None:
    """The same few are asked for with each pod: a node's capacity, the requests of its template."""
    match = _GRAMMAR.fullmatch(text) if len(text) <= _LENGTH_LIMIT else None
    if match is None or not (match["whole"] or match["part"]):
        return None
    factor = _factor(match)
    if factor is None:
        return None
    digits = Fraction(int((match["whole"] or "") + (match["part"] or "")))
    amount = min(_at_least_nano(digits / 10 ** len(match["part"] or "") * factor), MAXIMUM)
    return -amount if match["sign"] == "-" else amount


def whole_units(amount: Fraction) -> int:
    """The amount in units, rounded up, as `Quantity.Value()`: bytes, pods."""
    return math.ceil(amount)


def milli_units(amount: Fraction) -> int:
    """The amount in thousandths, rounded up, as `Quantity.MilliValue()`: processor time."""
    return math.ceil(amount * 1000)


def _factor(match: re.Match[str]) -> Fraction | None:
    if match["exponent"] is not None:
        exponent = int(match["exponent"])
        return Fraction(10) ** exponent if abs(exponent) <= _EXPONENT_LIMIT else None
    suffix = match["suffix"]
    return Fraction(2) ** _BINARY[suffix] if suffix in _BINARY else Fraction(10) ** _DECIMAL[suffix]


def _at_least_nano(amount: Fraction) -> Fraction:
    return math.ceil(amount / _NANO) * _NANO
