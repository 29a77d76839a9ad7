"""Two neighbouring versions on one bus: each reads what the other writes.

A newer writer sends fields that the reader does not know, at any depth. An older one leaves out
those that came later, which is why a field is added with a default.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from contract_samples import SAMPLES
from stream_samples import STREAM_SAMPLES
from usage_samples import USAGE_SAMPLES

from contract.codec import decode
from contract.messages.form import Message

GOLDEN = Path(__file__).parent / "golden"
# A golden with bulk has its bytes behind the JSON; these carry raw objects of Kubernetes.
PLAIN = [each for each in (*SAMPLES, *STREAM_SAMPLES, *USAGE_SAMPLES) if not each.bulk_field]


def golden(message: Message) -> Any:
    return msgspec.json.decode((GOLDEN / f"{message.__struct_config__.tag}.json").read_bytes())


def structs(kind: Any, value: Any) -> Iterator[tuple[msgspec.inspect.StructType, dict[str, Any]]]:
    """Every struct in this value by its declared type; a union's members by their tag."""
    if isinstance(kind, msgspec.inspect.StructType) and isinstance(value, dict):
        yield kind, value
    for each, part in parts(kind, value):
        yield from structs(each, part)


def parts(kind: Any, value: Any) -> list[tuple[Any, Any]]:
    """What a value is made of, with what each part is declared as."""
    match kind, value:
        case msgspec.inspect.UnionType(), _:
            return [(each, value) for each in kind.types if _may_be(each, value)]
        case msgspec.inspect.StructType(), dict():
            there = [field for field in kind.fields if field.encode_name in value]
            return [(field.type, value[field.encode_name]) for field in there]
        case msgspec.inspect.DictType(), dict():
            return [(kind.value_type, item) for item in value.values()]
        case _, list() if hasattr(kind, "item_type"):
            return [(kind.item_type, item) for item in value]
    return []


def _may_be(kind: Any, value: Any) -> bool:
    return not isinstance(kind, msgspec.inspect.StructType) or _is_this(kind, value)


def _is_this(kind: msgspec.inspect.StructType, value: Any) -> bool:
    return isinstance(value, dict) and (
        kind.tag_field is None or value.get(kind.tag_field) == kind.tag
    )


def name_of(message: Message) -> str:
    return str(message.__struct_config__.tag)


@pytest.mark.parametrize("message", PLAIN, ids=name_of)
def test_fields_of_a_newer_writer_are_passed_over_at_any_depth(message: Message) -> None:
    body = golden(message)
    found = list(structs(msgspec.inspect.type_info(type(message)), body))
    assert found
    for _, struct in found:
        struct["aFieldOfTomorrow"] = {"with": ["anything"]}
    read = decode(type(message), msgspec.json.encode(body))
    plain = decode(type(message), msgspec.json.encode(golden(message)))
    if name_of(message) != "pods_listed":  # it hands raw objects on, as they were written
        assert read == plain


@pytest.mark.parametrize("message", PLAIN, ids=name_of)
def test_fields_that_an_older_writer_leaves_out_have_defaults(message: Message) -> None:
    body = golden(message)
    for kind, struct in list(structs(msgspec.inspect.type_info(type(message)), body)):
        for field in kind.fields:
            if not field.required:
                struct.pop(field.encode_name, None)
    assert isinstance(decode(type(message), msgspec.json.encode(body)), type(message))
