"""Every message against its golden bytes: old bytes still decode, new bytes are the same."""

from pathlib import Path

import msgspec
import pytest
from contract_samples import LIFE, SAMPLES, TERM
from plan_samples import AT, DIGEST, LATER, PLAN, UID
from stream_samples import STREAM_SAMPLES
from usage_samples import USAGE_SAMPLES

from contract.codec import decode, encode
from contract.digests import inventory_digest, plan_digest
from contract.errors import DecodeError
from contract.messages.form import Done, Incarnation, Message, Term
from contract.messages.pod import PodApply, PodsListed
from contract.messages.report import InventoryEntry
from contract.subjects import ROUTES

GOLDEN = Path(__file__).parent / "golden"
ALL = (*SAMPLES, *STREAM_SAMPLES, *USAGE_SAMPLES)


def kind_of(message: Message) -> str:
    return str(message.__struct_config__.tag)


@pytest.mark.parametrize("message", ALL, ids=kind_of)
def test_a_message_has_its_golden_bytes(message: Message) -> None:
    golden = (GOLDEN / f"{kind_of(message)}.json").read_bytes()
    if message.bulk_field:
        with_bulk = (GOLDEN / f"{kind_of(message)}.bin").read_bytes()
        assert encode(message) == with_bulk
        assert decode(type(message), with_bulk) == message
    else:
        assert msgspec.json.format(encode(message), indent=2) + b"\n" == golden
    decoded = decode(type(message), golden)
    if not isinstance(message, PodsListed):  # its raw pods keep the golden's white space
        assert decoded == message


def test_every_message_of_the_table_has_a_sample_and_every_golden_a_message() -> None:
    spoken = set(ROUTES) | {route.reply for route in ROUTES.values() if route.reply}
    assert {type(message) for message in ALL} == spoken
    assert {file.stem for file in GOLDEN.iterdir()} == {kind_of(m) for m in ALL}


def test_an_unknown_field_is_skipped_and_a_wrong_type_refused() -> None:
    body = msgspec.json.decode((GOLDEN / "pod_apply.json").read_bytes())
    assert decode(PodApply, msgspec.json.encode(body | {"later": 1})).uid == UID
    with pytest.raises(DecodeError, match="revision"):
        decode(PodApply, msgspec.json.encode(body | {"revision": "4"}))
    with pytest.raises(DecodeError, match="done"):
        decode(PodApply, (GOLDEN / "done.json").read_bytes())


def test_terms_and_incarnations_are_ordered_by_their_first_difference() -> None:
    assert Term(created_at=AT, uid="z", transitions=9) < Term(
        created_at=LATER, uid="a", transitions=0
    )
    assert Term(created_at=AT, uid="a", transitions=9) < Term(created_at=AT, uid="b", transitions=0)
    assert msgspec.structs.replace(TERM, transitions=TERM.transitions + 1) > TERM
    assert Incarnation(executor_id=LIFE.executor_id, start_count=8) > LIFE


def test_a_plan_digest_changes_with_any_field_of_the_plan() -> None:
    assert plan_digest(PLAN) == plan_digest(msgspec.structs.replace(PLAN))
    assert plan_digest(PLAN) != plan_digest(msgspec.structs.replace(PLAN, deletion=None))


def test_an_inventory_digest_ignores_order_and_sees_each_number() -> None:
    one = InventoryEntry(uid=UID, plan_digest=DIGEST, epoch=1, sequence=1)
    two = msgspec.structs.replace(one, uid="b")
    assert inventory_digest([one, two]) == inventory_digest([two, one])
    for change in ({"sequence": 2}, {"epoch": 2}, {"plan_digest": "b"}):
        assert inventory_digest([msgspec.structs.replace(one, **change)]) != inventory_digest([one])


def test_nesting_without_end_is_unreadable_as_anything_else_is() -> None:
    deep = 200_000
    with pytest.raises(DecodeError, match="Done"):
        decode(Done, b'{"kind":"done","x":' + b"[" * deep + b"]" * deep + b"}")
