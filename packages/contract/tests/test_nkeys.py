"""NATS' text form of keys, held against a pair that NATS' own documentation shows."""

import base64

import pytest

from contract.errors import InvalidTokenError
from contract.nkeys import PREFIX_ACCOUNT, PREFIX_USER, account_seed, public_text, seed_text

SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
KEY = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def raw(text: str) -> bytes:
    return base64.b32decode(text + "=" * (-len(text) % 8))


def test_a_pair_is_written_as_nats_writes_it() -> None:
    assert seed_text(PREFIX_USER, raw(SEED)[2:-2]) == SEED
    assert public_text(PREFIX_USER, raw(KEY)[1:-2]) == KEY


def test_an_account_s_seed_survives_its_text() -> None:
    seed = bytes(range(32))
    text = seed_text(PREFIX_ACCOUNT, seed)
    assert text.startswith("SA")
    assert account_seed(text) == seed


@pytest.mark.parametrize(
    "text",
    ["", "SA", SEED, KEY, seed_text(PREFIX_ACCOUNT, bytes(31)), "not base32!", "SA" + "A" * 56],
)
def test_what_is_no_account_s_seed_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidTokenError) as refusal:
        account_seed(text)
    assert not text or text not in str(refusal.value)
