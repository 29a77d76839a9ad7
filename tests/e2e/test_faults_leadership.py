"""Two reconcilers, and the leader is stopped past its deadline and continued.

One write that it was sending may land, and the next report corrects it. No command of its old term
is accepted: nothing runs twice and nothing stops.
"""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from e2e.anatomy import Part
from e2e.byhand import ByHand, standby
from e2e.counting import ALWAYS, Name, assert_consecutive, counting_pod
from e2e.expectations import eventually
from e2e.faults import ELECTION, SHORT, Baseline, Scene, incarnation_of, scene
from e2e.images import Images
from e2e.processes import frozen
from e2e.running_wasmlet import RunningWasmlet

from contract.errors import CommandError
from contract.ids import NodeName, PodUid
from contract.messages.form import Command, Message, Term
from contract.messages.pod import PodForget
from contract.messages.report import ReportAll
from contract.subjects import Role
from controlplane import ControlPlane
from servicekit.bus import connected
from servicekit.settings import ServiceSettings

NODE = "leaders"
PODS = 6
BURST = 8
LEASE = "/apis/coordination.k8s.io/v1/namespaces/wasmlet-system/leases/pod-reconciler"


@pytest.fixture(scope="module")
def leaders(
    control_plane: ControlPlane, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    options = ["--insecure-registry", images.registry.host, *SHORT, *ELECTION]
    folder = tmp_path_factory.mktemp(NODE) / "up"
    wasmlet = RunningWasmlet(control_plane, folder, node_name=NODE, options=options)
    with scene(control_plane, images, wasmlet) as leaders:
        leaders.counting.create(images, NODE, PODS)
        yield leaders


@pytest.fixture
def second(leaders: Scene, tmp_path: Path) -> Iterator[ByHand]:
    """Another reconciler, which waits for its turn."""
    like = leaders.anatomy.get(Part.RECONCILER)
    with standby(like, Part.RECONCILER, tmp_path / "second") as second:
        yield second


def test_a_leader_that_was_frozen_changes_nothing_when_it_wakes(
    leaders: Scene, second: ByHand
) -> None:
    before, counting = Baseline(leaders), leaders.counting
    leaders.pods.create(counting_pod(leaders.images, NODE, "deleted", ALWAYS))
    leaders.pods.await_phase("deleted", "Running")
    burst = [Name(f"burst-{number}", "main") for number in range(BURST)]
    for name in burst:
        counting.add(leaders.images, NODE, name.pod, ALWAYS)
    # Some of them are known to the executor by now, some to this leader alone, some to nobody.
    with frozen(leaders.anatomy.get(Part.RECONCILER)):
        leaders.pods.delete("deleted")
        eventually(lambda: second.records("term.started"))
        eventually(lambda: leaders.pods.is_gone("deleted"))
        counting.await_running()
        leaders.assert_recovered()
        statuses = counting.statuses()
    eventually(lambda: "leadership.ended" in leaders.wasmlet.output())
    leaders.assert_recovered()
    assert counting.statuses() == statuses
    assert not second.records("term.ended")
    leaders.anatomy.await_count(len(counting.names()))
    for name in burst:
        assert statuses[name]["restartCount"] == 0
        assert_consecutive(counting.written(name), name)
        counting.remove(name.pod)
    before.assert_untouched()


def test_the_other_leads_on_when_the_leader_is_killed(leaders: Scene, second: ByHand) -> None:
    before = Baseline(leaders)
    leaders.anatomy.await_successor(Part.RECONCILER, leaders.anatomy.kill(Part.RECONCILER))
    leaders.assert_recovered()
    assert second.records("term.started")
    before.assert_untouched()


def test_a_command_of_an_old_term_is_refused(leaders: Scene) -> None:
    before = Baseline(leaders)
    uid = PodUid(leaders.pods.get("pod-01")["metadata"]["uid"])
    term, holder = term_of(leaders), incarnation_of(leaders.api, NODE)
    old = Term(created_at=term.created_at, uid=term.uid, transitions=term.transitions - 1)
    assert term.transitions > 0, "an earlier test changed the leader"
    for stale in (
        PodForget(uid=uid, incarnation=holder, term=old),
        ReportAll(incarnation=holder, term=old),
    ):
        with pytest.raises(CommandError, match="stale term") as refusal:
            command(leaders, stale)
        assert refusal.value.code == 409
    # The same is done for who leads.
    inventory = command(leaders, ReportAll(incarnation=holder, term=term))
    assert uid in {entry.uid for entry in inventory.entries}
    before.assert_untouched()


def test_a_write_that_landed_late_is_corrected_by_the_next_report(leaders: Scene) -> None:
    """What a frozen leader had sent: the pod as it was before, over what it is."""
    counting, name = leaders.counting, Name("late", "main")
    others = leaders.anatomy.await_count(len(counting.names()))
    counting.add(leaders.images, NODE, name.pod, ALWAYS)
    counting.await_running()
    old = leaders.pods.get(name.pod)["status"]["containerStatuses"]
    (victim,) = leaders.anatomy.await_more(others, 1)
    victim.kill()
    eventually(lambda: counting.is_back(name))
    path = f"/api/v1/namespaces/{leaders.pods.namespace}/pods/{name.pod}/status"
    landed = leaders.api.patch(path, {"status": {"containerStatuses": old}})
    assert landed["status"]["containerStatuses"][0]["restartCount"] == 0
    eventually(lambda: counting.is_back(name))
    counting.remove(name.pod)


def term_of(leaders: Scene) -> Term:
    """The term of who leads now, as the Lease says; a Lease that was given back has no holder."""

    def held() -> dict[str, Any] | None:
        found = leaders.api.get(LEASE)
        return found if found["spec"]["holderIdentity"] else None

    lease = eventually(held)
    assert lease is not None
    return Term(
        created_at=datetime.fromisoformat(lease["metadata"]["creationTimestamp"]),
        uid=lease["metadata"]["uid"],
        transitions=lease["spec"]["leaseTransitions"],
    )


def command[R: Message](leaders: Scene, what: Command[R]) -> R:
    """Gives a command as the reconcilers' user."""

    async def ask() -> R:
        environment = leaders.anatomy.get(Part.RECONCILER).environment
        settings = ServiceSettings(
            nats_url=environment["WASMLET_NATS_URL"],
            nats_password_file=Path(environment["WASMLET_NATS_PASSWORD_FILE"]),
        )
        async with connected(settings, Role.POD_RECONCILER) as bus:
            return await bus.request(NodeName(NODE), what)

    return asyncio.run(ask())
