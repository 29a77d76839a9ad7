"""Who may speak for a Node: one incarnation at a time, and nobody for another Node's pods.

While an old holder cannot hear, both may run a pod: the one exception (architecture, 2.5). Here an
old holder is dead, or frozen and woken again.
"""

import asyncio
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from e2e.anatomy import Part, guests_of
from e2e.byhand import ByHand
from e2e.counting import ALWAYS, NEVER, ON_FAILURE, CountingPods, assert_consecutive, counting_pod
from e2e.expectations import eventually, steadily
from e2e.faults import SHORT, Baseline, Scene, incarnation_of, log_root_of, scene
from e2e.images import Images
from e2e.processes import Process, frozen
from e2e.running_wasmlet import RunningWasmlet

from contract.ids import ContainerName, NodeName, PodUid
from contract.messages.form import STATIC_TERM
from contract.messages.report import ContainerReport, PodReported, Terminated
from contract.subjects import Role
from controlplane import ControlPlane
from servicekit.bus import connected
from servicekit.settings import ServiceSettings

LEASE_S = 3
FIRST, SECOND = "claims-1", "claims-2"


@pytest.fixture(scope="module")
def claims(
    control_plane: ControlPlane, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """Two Nodes. The second's executor never beats, and only its `/healthz` shows that it lives."""
    options = ["--insecure-registry", images.registry.host, *SHORT]
    options += ["--set", f"node-registrar:LEASE_S={LEASE_S}"]
    options += ["--set", "node-registrar:BEAT_FRESH_S=2"]
    options += ["--set", f"wasm-executor.{SECOND}:BEAT_INTERVAL_S=3600"]
    options += ["--set", f"wasm-executor.{SECOND}:REGISTER_INTERVAL_S=3600"]
    folder = tmp_path_factory.mktemp("claims") / "up"
    wasmlet = RunningWasmlet(control_plane, folder, node_name="claims", nodes=2, options=options)
    with scene(control_plane, images, wasmlet) as claims:
        yield claims


@pytest.fixture
def counting(claims: Scene) -> Iterator[CountingPods]:
    """Three pods on the first Node: Always, OnFailure and Never."""
    claims.counting.create(claims.images, FIRST, 3)
    yield claims.counting
    for name in list(claims.counting.policies):
        claims.counting.remove(name)


class Rival:
    """Another executor with a Node's name: another machine, with that Node's credential."""

    def __init__(self, claims: Scene, node: str, folder: Path) -> None:
        self._claims, self._node = claims, node
        holder = claims.anatomy.get(Part.KEEPER, node)
        self.data_dir = folder / "data"
        self._service = ByHand(
            holder,
            Part.KEEPER,
            folder / "rival",
            DATA_DIR=str(self.data_dir),
            RUN_DIR=str(folder / "run"),
            RUN_DIR_MAY_BE_DISK="true",
            LOG_ROOT=str(log_root_of(self.data_dir, node)),
            BEAT_INTERVAL_S="1",
        )
        self.keeper = self._service.process
        self._keeper_started = eventually(lambda: self._service.records("keeper.started"))[0]

    @property
    def holds(self) -> bool:
        holder = incarnation_of(self._claims.api, self._node)
        return bool(holder.executor_id == self._keeper_started["executor_id"])

    @property
    def containers(self) -> frozenset[Process]:
        return guests_of(self.keeper)

    def await_containers(self, count: int) -> frozenset[Process]:
        """So many of them, as soon as nothing else runs."""

        def ask() -> frozenset[Process]:
            found = self.containers
            assert len(found) == count, f"{len(found)} run"
            return found

        return eventually(ask)

    def await_refused(self) -> None:
        """The registrar has said no to it, by its name."""
        wanted = f"asking={self._keeper_started['executor_id']}/"
        eventually(lambda: wanted in self._claims.wasmlet.output())

    def stop(self) -> None:
        self._service.stop()


@contextmanager
def rival(claims: Scene, node: str, folder: Path) -> Iterator[Rival]:
    rival = Rival(claims, node, folder)
    try:
        yield rival
    finally:
        rival.stop()


@pytest.mark.usefixtures("counting")
def test_a_second_executor_is_refused_while_the_holder_lives(claims: Scene, tmp_path: Path) -> None:
    before, holder = Baseline(claims), incarnation_of(claims.api, FIRST)
    with rival(claims, FIRST, tmp_path) as second:
        second.await_refused()
        steadily(lambda: not second.containers and not second.holds, 2 * LEASE_S)
    claims.assert_recovered()
    assert incarnation_of(claims.api, FIRST) == holder
    before.assert_untouched()


def test_a_silent_holder_keeps_its_name_while_its_healthz_answers(
    claims: Scene, tmp_path: Path
) -> None:
    """The executor of the second Node was last heard when it registered."""
    with rival(claims, SECOND, tmp_path) as second:
        second.await_refused()
        steadily(lambda: not second.holds, 2 * LEASE_S)


def test_a_dead_holders_pods_are_taken_over_once_and_come_back_once(
    claims: Scene, counting: CountingPods, tmp_path: Path
) -> None:
    first = claims.anatomy.get(Part.KEEPER, FIRST)
    again = counting.names(ALWAYS, ON_FAILURE)
    with rival(claims, FIRST, tmp_path) as second, frozen(claims.anatomy.up):
        first.kill()
        eventually(lambda: second.holds)
        elsewhere = counting.seen_from(log_root_of(second.data_dir, FIRST))
        await_killed_once(elsewhere)
        assert not guests_of(first)
        taken = second.await_containers(len(again))
        claims.anatomy.up.signal(signal.SIGCONT)
        heir = claims.anatomy.await_successor(Part.KEEPER, first, FIRST)
        steadily(lambda: not guests_of(heir), LEASE_S)
        eventually(lambda: second.containers == taken)
        second.stop()
        eventually(lambda: len(guests_of(heir)) == len(again))
    assert not second.containers
    eventually(lambda: all(counting.statuses()[each]["restartCount"] == 2 for each in again))
    eventually(lambda: all(counting.written(each, run=2) for each in again))
    for name in again:
        assert_consecutive(elsewhere.written(name, run=1), name)
        assert_consecutive(counting.written(name, run=2), name)
    eventually(lambda: len(guests_of(heir)) == len(again))
    assert counting.finished(), "what is finished is not repeated"


def test_a_holder_that_was_frozen_ends_its_pods_when_it_hears_of_its_successor(
    claims: Scene, counting: CountingPods, tmp_path: Path
) -> None:
    supervisor = claims.anatomy.get(Part.SUPERVISOR, FIRST)
    keeper = claims.anatomy.get(Part.KEEPER, FIRST)
    with rival(claims, FIRST, tmp_path) as second:
        with frozen(supervisor):
            eventually(lambda: second.holds)
            await_killed_once(counting.seen_from(log_root_of(second.data_dir, FIRST)))
            statuses = counting.statuses()
            taken = second.await_containers(len(counting.names(ALWAYS, ON_FAILURE)))
            # It goes on while it cannot hear.
            eventually(lambda: len(guests_of(keeper)) == len(counting.names()))
        eventually(lambda: not guests_of(keeper))
        steadily(lambda: counting.statuses() == statuses, 2)
        eventually(lambda: second.containers == taken)
        assert not guests_of(keeper)


def await_killed_once(counting: CountingPods) -> None:
    """Every container of the dead holder counts as killed, and its policy decided."""
    eventually(
        lambda: (
            all(map(counting.is_back, counting.names(ALWAYS, ON_FAILURE)))
            and all(map(counting.is_over, counting.names(NEVER)))
        )
    )


def test_a_forged_report_is_dropped(claims: Scene) -> None:
    """The same words are believed of the pod's own executor: it is not the form that fails."""
    manifest = counting_pod(claims.images, FIRST, "truth", NEVER)
    claims.pods.create(manifest)
    truth = claims.pods.await_phase("truth", "Running")
    asyncio.run(say(claims, SECOND, SECOND, forged(claims, SECOND, truth)))
    eventually(lambda: re.search(r"report\.dropped.*pod=truth", claims.wasmlet.output()))
    # On the other Node's subject: the bus does not let it pass.
    asyncio.run(say(claims, SECOND, FIRST, forged(claims, FIRST, truth)))
    claims.assert_recovered()
    assert claims.pods.get("truth") == truth
    asyncio.run(say(claims, FIRST, FIRST, forged(claims, FIRST, truth)))
    claims.pods.await_phase("truth", "Failed")
    claims.pods.delete("truth")


def forged(claims: Scene, liar: str, pod: dict[str, Any]) -> PodReported:
    """Says that the pod has ended and nothing of it lives."""
    now = datetime.now(UTC)
    end = Terminated(exit_code=3, reason="Error", started_at=now, finished_at=now)
    container = ContainerReport(name=ContainerName("main"), state=end)
    metadata = pod["metadata"]
    return PodReported(
        uid=PodUid(metadata["uid"]),
        namespace=metadata["namespace"],
        name=metadata["name"],
        incarnation=incarnation_of(claims.api, liar),
        epoch=99,
        sequence=1,
        plan_digest="sha256:" + "0" * 64,
        generation=1,
        term=STATIC_TERM,
        started_at=now,
        containers=(container,),
        stopped=True,
    )


async def say(claims: Scene, speaker: str, node: str, report: PodReported) -> None:
    """Publishes as the executor of one Node, on the subject of the same or of another."""
    supervisor = claims.anatomy.get(Part.SUPERVISOR, speaker)
    settings = ServiceSettings(
        nats_url=supervisor.environment["WASMLET_NATS_URL"],
        nats_password_file=Path(supervisor.environment["WASMLET_NATS_PASSWORD_FILE"]),
    )
    async with connected(settings, Role.WASM_EXECUTOR, NodeName(speaker)) as bus:
        await bus.publish(NodeName(node), report)
