"""Sizes as Kubernetes writes them. The API server rewrites `1000` as `1k`: compare by value."""

from fractions import Fraction
from typing import Final

_UNIT: Final = 1024
_SUFFIXES: Final[dict[str, Fraction]] = {
    "m": Fraction(1, 1000),
    "": Fraction(1),
    **{suffix: Fraction(1000**power) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", start=1)},
}


def cpu(millis: int) -> str:
    """Return thousandths of a core as the API server writes them."""
    return f"{millis // 1000}" if millis % 1000 == 0 else f"{millis}m"


def size(number_of_bytes: int) -> str:
    """Return bytes in the kubelet's unit for memory."""
    return f"{number_of_bytes // _UNIT}Ki"


def whole_size(number_of_bytes: int) -> int:
    """Return as many of these bytes as `size` can say."""
    return number_of_bytes // _UNIT * _UNIT


def covers(shown: dict[str, str], wanted: dict[str, str]) -> bool:
    """Say whether `shown` holds the wanted amounts, however written; it may hold others too."""
    return all(
        name in shown and amount(shown[name]) == amount(value) for name, value in wanted.items()
    )


def amount(text: str) -> Fraction | None:
    """Return the value of a quantity, None if it has none that we know."""
    digits = text.rstrip("mkMGTPEiK")
    factor = _SUFFIXES.get(text[len(digits) :])
    try:
        return None if factor is None else Fraction(digits) * factor
    except ValueError:
        return None
