"""What a registrar that has just begun says of a machine whose executor it has not heard yet."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from registrar_peers import FACTS, life

from contract.ids import NodeName
from contract.messages.node import NodeFacts
from node_registrar.app.member import Member
from node_registrar.domain.capping import Caps, within
from node_registrar.domain.granting import Grant
from node_registrar.domain.node_object import facts_status, template_of
from node_registrar.domain.node_view import NodeMeta, NodeView
from node_registrar.domain.shown_facts import shown_facts
from node_registrar.settings import RegistrarSettings

TEMPLATE = template_of(RegistrarSettings())
STATUS = facts_status(FACTS, TEMPLATE)
CAPPED = ("cpu_millis", "memory_bytes", "ephemeral_storage_bytes", "pods")
AMOUNTS = (*CAPPED, "allocatable_cpu_millis", "allocatable_memory_bytes")
ASKED = (*AMOUNTS, "runtimes")


def view_of(status: dict[str, Any]) -> NodeView:
    return NodeView(metadata=NodeMeta(name="n", uid="u"), status=status)


def test_a_node_shows_again_what_pods_may_ask_of_its_machine() -> None:
    facts = shown_facts(view_of(STATUS))
    assert facts is not None
    assert {name: getattr(facts, name) for name in ASKED} == {
        name: getattr(FACTS, name) for name in ASKED
    }


@given(
    st.builds(
        NodeFacts,
        **dict.fromkeys(AMOUNTS, st.integers(min_value=-1, max_value=2**50)),
        runtimes=st.just(("wasi",)),
    ),
    st.builds(Caps, **dict.fromkeys(CAPPED, st.sampled_from((0, 1, 500, 10**9 + 1)))),
)
def test_the_next_registrar_reads_from_a_node_what_this_one_tells(
    facts: NodeFacts, caps: Caps
) -> None:
    told = within(facts, caps)
    assert shown_facts(view_of(facts_status(told, TEMPLATE))) == told


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("capacity", None),
        ("allocatable", {"cpu": "1"}),
        ("allocatable", STATUS["allocatable"] | {"memory": "much"}),
        ("runtimeHandlers", [{"name": ""}]),
    ],
)
def test_a_machine_of_which_a_node_shows_half_is_not_known(field: str, value: object) -> None:
    assert shown_facts(view_of(STATUS | {field: value})) is None


def test_what_the_executor_says_is_the_newer() -> None:
    member = Member(NodeName("n"), fresh_s=10.0)
    member.grant = Grant(holder=life())
    member.shown_facts = msgspec.structs.replace(FACTS, pods=1)
    shown = member.granted_event()
    assert shown is not None
    assert shown.facts == member.shown_facts
    member.facts = FACTS
    told = member.granted_event()
    assert told is not None
    assert told.facts == FACTS
