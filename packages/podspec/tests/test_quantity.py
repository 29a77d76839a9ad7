"""The grammar and the rounding of quantities, against apimachinery's own cases and at random."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podspec.errors import QuantityError
from podspec.quantity import MAXIMUM, milli_units, parse_quantity, whole_units

DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("100m", Fraction(1, 10)),
        ("1.5Gi", 3 * 2**29),
        ("64Mi", 64 * 2**20),
        ("2e3", 2000),
        ("2E3", 2000),
        ("1E", 10**18),
        ("1Ei", 2**60),
        ("1e-3", Fraction(1, 1000)),
        ("+5", 5),
        ("-5k", -5000),
        ("5.", 5),
        (".5", Fraction(1, 2)),
        ("007", 7),
        ("0.0000000001", Fraction(1, 10**9)),  # some is not none
        ("1.0000000001", 1 + Fraction(1, 10**9)),
        ("100E", 2**63 - 1),  # too much is as much as there is
        ("1e999", 2**63 - 1),
        (128974848, 128974848),
        (0.5, Fraction(1, 2)),
        (1e22, 2**63 - 1),
    ],
)
def test_an_amount_is_read_exactly(text: Any, amount: Any) -> None:
    assert parse_quantity(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "", ".", "+", "m", "1K", "1ki", "1KI", "1 Gi", " 1", "1\n", "1e", "1e1.5", "0x10", "1,5",
        "1..5", "--1", "1Mb", "NaN", "inf", "٣", "1e1001", "9" * 1001,
        True, None, [], {}, float("nan"), float("inf"),
    ],
)  # fmt: skip
def test_what_is_no_quantity_is_refused(text: Any) -> None:
    with pytest.raises(QuantityError):
        parse_quantity(text)


@given(st.integers(0, 10**6), st.sampled_from(sorted(DECIMAL)))
def test_decimal_suffixes_are_powers_of_ten(number: int, suffix: str) -> None:
    expected = Fraction(number) * Fraction(10) ** DECIMAL[suffix]
    assert parse_quantity(f"{number}{suffix}") == min(expected, MAXIMUM)


@given(st.integers(0, 10**6), st.sampled_from(sorted(BINARY)))
def test_binary_suffixes_are_powers_of_1024(number: int, suffix: str) -> None:
    expected = Fraction(number) * 1024 ** BINARY[suffix]
    assert parse_quantity(f"{number}{suffix}") == min(expected, MAXIMUM)


@given(st.decimals(0, 10**9, places=9))
def test_nine_places_lose_nothing(number: Any) -> None:
    assert parse_quantity(f"{number:f}") == Fraction(number)


@given(st.text("0123456789.eEkKMGTPimnu+-", max_size=12))
def test_nothing_else_ever_comes_out_than_a_bounded_amount(text: str) -> None:
    try:
        amount = parse_quantity(text)
    except QuantityError:
        return
    assert abs(amount) <= MAXIMUM
    assert (amount * 10**9).denominator == 1


def test_units_are_rounded_up() -> None:
    assert whole_units(Fraction(1, 10)) == 1
    assert milli_units(Fraction(1, 10**9)) == 1
    assert milli_units(Fraction(5, 2)) == 2500
