"""The rule by which a node is gone for good."""

import pytest
from registrar_peers import Executor, joined, life
from registrar_process import Registrar
from registrar_static_mode import NODE, OTHER, Peers

from contract.messages.node import NodeCheck
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from node_registrar.domain.ending import has_ended
from node_registrar.domain.granting import Tenure

ENDED = {Tenure.VACANT, Tenure.RELEASED, Tenure.DEAD}


@pytest.mark.parametrize("known", list(Tenure))
def test_a_name_of_nobody_ends_with_its_node_and_after_a_silence_longer_than_a_lease(
    known: Tenure,
) -> None:
    assert has_ended(known, has_node=False, unheard_s=40.1, lease_s=40) == (known in ENDED)
    assert not has_ended(known, has_node=False, unheard_s=40, lease_s=40)
    assert not has_ended(known, has_node=True, unheard_s=86400, lease_s=40)


async def test_without_a_cluster_no_silence_ends_a_node(
    registrar: Registrar, peers: Peers, nats: EmbeddedNats
) -> None:
    holder = peers.life()
    await holder.register()
    await holder.release()
    async with joined(nats, Role.WASM_EXECUTOR, OTHER) as bus:  # as much later as a Lease is long
        await Executor(bus, OTHER, life()).register()
        await Executor(bus, OTHER, life("heir")).granted()
    answer = await peers.server.bus.request(NODE, NodeCheck(node=NODE))
    assert not answer.ended
    assert not registrar.records("node.ended")
