"""Many deaths at any moment, while pods come, end and go: what ends does so once, what runs stays.

Slow: the moments are random, and it takes many of them.
"""

import random
import time
from collections.abc import Iterator

import pytest
from e2e import guests
from e2e.anatomy import Anatomy, Part, guests_of
from e2e.byhand import ByHand
from e2e.counting import ALWAYS, NEVER, ON_FAILURE, CountingPods, assert_consecutive
from e2e.expectations import eventually
from e2e.faults import ELECTION, SHORT, Baseline, Scene, ready_since, scene
from e2e.images import Images
from e2e.pods import pod
from e2e.processes import Process, frozen
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NODE = "many"
PODS = 20
MAX_PODS = 500
"""Jobs may wait until the deaths are over, and the quicker the machine, the more are made."""
LINES = 100
KILLS = 120
CHANCE = random.Random()  # noqa: S311 - picks victims, not keys
LEASE = "/apis/coordination.k8s.io/v1/namespaces/wasmlet-system/leases/pod-reconciler"
HARMLESS = (
    Part.REGISTRAR,
    Part.RECONCILER,
    Part.LOG_SERVER,
    Part.NATS,
    Part.ZYGOTE,
    Part.SUPERVISOR,
)


@pytest.fixture(scope="module")
def many(
    control_plane: ControlPlane, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    options = ["--insecure-registry", images.registry.host, *SHORT, *ELECTION]
    options += ["--set", "wasm-executor:RESTART_DELAY_S=0.5"]
    options += ["--set", "wasm-executor:RESTART_DELAY_MAX_S=1"]
    options += ["--set", f"wasm-executor:MAX_PODS={MAX_PODS}"]
    options += ["--set", f"node-registrar:MAX_PODS={MAX_PODS}"]
    folder = tmp_path_factory.mktemp(NODE) / "up"
    wasmlet = RunningWasmlet(control_plane, folder, node_name=NODE, options=options)
    with scene(control_plane, images, wasmlet) as many:
        yield many


@pytest.fixture
def counting(many: Scene) -> Iterator[CountingPods]:
    many.counting.create(many.images, NODE, PODS)
    yield many.counting
    for name in list(many.counting.policies):
        many.counting.remove(name)


class Jobs:
    """Pods that write a hundred lines, once, and end."""

    def __init__(self, many: Scene, prefix: str) -> None:
        self._many = many
        self._prefix = prefix
        self._image = many.images.push(guests.counts(20, up_to=LINES), "fault-jobs")
        self.names: list[str] = []

    def start_one(self) -> None:
        name = f"{self._prefix}-{len(self.names)}"
        manifest = pod(name, self._image)
        manifest["spec"]["nodeSelector"] = {"kubernetes.io/hostname": NODE}
        self._many.pods.create(manifest)
        self.names.append(name)

    def assert_each_ran_once(self) -> None:
        for name in self.names:
            ended = self._many.pods.await_phase(name, "Succeeded", within_s=60)
            (status,) = ended["status"]["containerStatuses"]
            assert status["restartCount"] == 0
            is_whole = self._many.pods.logs(name) == guests.numbered(1, LINES)
            assert is_whole, f"{name} wrote other lines"
        for name in self.names:
            self._many.pods.delete(name)


def test_random_deaths_cost_nothing(many: Scene, counting: CountingPods) -> None:
    before, jobs, since = Baseline(many), Jobs(many, "job"), ready_since(many.api, many.node)
    kills = 0
    while kills < KILLS:
        jobs.start_one()
        for part in CHANCE.sample(HARMLESS, CHANCE.randint(1, 3)):
            victim = many.anatomy.find(part)
            if victim is not None and victim.lives:
                victim.kill()
                kills += 1
        time.sleep(CHANCE.uniform(0, 3))  # no wait: when to strike again
    many.assert_recovered()
    jobs.assert_each_ran_once()
    counting.await_running()
    # Registrar, bus and executor may be away one after the other, and the Node with them: then it
    # is the node controller that shows its pods as not ready, and nobody else may.
    before.assert_untouched(conditions=ready_since(many.api, many.node) == since)


def test_leaders_frozen_at_any_moment_harm_nobody(
    many: Scene,
    counting: CountingPods,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    before, jobs = Baseline(many), Jobs(many, "led")
    folder = tmp_path_factory.mktemp("replica") / "second"
    second = ByHand(
        many.anatomy.get(Part.RECONCILER), Part.RECONCILER, folder, ELECTION_IDENTITY="second"
    )
    try:
        for _ in range(8):
            leader = leading(many, second)
            for _ in range(10):
                jobs.start_one()
            time.sleep(CHANCE.uniform(0, 0.3))  # no wait: how far the leader has come
            with frozen(leader):
                await_another_leader(many, second, leader)
                jobs.start_one()
        jobs.assert_each_ran_once()
        many.assert_recovered()
    finally:
        second.stop()
    counting.await_running()
    before.assert_untouched()


def leading(many: Scene, second: ByHand) -> Process:
    """The reconciler that the Lease names."""
    holder = many.api.get(LEASE)["spec"]["holderIdentity"]
    return second.process if holder.startswith("second_") else many.anatomy.get(Part.RECONCILER)


def await_another_leader(many: Scene, second: ByHand, leader: Process) -> None:
    eventually(lambda: leading(many, second) != leader, within_s=60)


def test_each_death_of_the_keeper_restarts_what_restarts_once(
    many: Scene, counting: CountingPods
) -> None:
    again = counting.names(ALWAYS, ON_FAILURE)
    jobs = Jobs(many, "before")
    jobs.start_one()
    many.pods.await_phase(jobs.names[0], "Succeeded")
    for deaths in range(1, 6):
        keeper = many.anatomy.kill(Part.KEEPER)
        many.anatomy.await_successor(Part.KEEPER, keeper)
        await_restarts(counting, deaths)
        assert not guests_of(keeper)
        many.anatomy.await_count(len(again))
    for name in again:
        for run in range(5):
            assert_consecutive(counting.written(name, run), name)
    assert all(map(counting.is_over, counting.names(NEVER)))
    assert counting.finished(), "what is finished is not repeated"
    jobs.assert_each_ran_once()


def test_everything_may_die_at_once(many: Scene, counting: CountingPods) -> None:
    """Runs last: `wasmlet up` is another process afterwards. Counts go on from the disk."""
    jobs = Jobs(many, "ended")
    jobs.start_one()
    many.pods.await_phase(jobs.names[0], "Succeeded")
    keeper = many.anatomy.get(Part.KEEPER)
    parts = [many.anatomy.get(part) for part in Part]
    many.wasmlet.process.kill()
    eventually(lambda: not guests_of(keeper) and not any(part.lives for part in parts))
    many.wasmlet.start()
    await_restarts(counting, 1)
    reborn = many._replace(anatomy=Anatomy(many.wasmlet))
    reborn.anatomy.await_count(len(counting.names(ALWAYS, ON_FAILURE)))
    assert all(map(counting.is_over, counting.names(NEVER)))
    assert counting.finished(), "what is finished is not repeated"
    reborn.assert_recovered()
    jobs.assert_each_ran_once()


def await_restarts(counting: CountingPods, count: int) -> None:
    """Whatever restarts has done so this often, and runs."""

    def ask() -> bool:
        statuses = counting.statuses()
        for name in counting.names(ALWAYS, ON_FAILURE):
            assert statuses[name]["restartCount"] == count, statuses[name]
            assert statuses[name]["ready"], statuses[name]
        return True

    eventually(ask, within_s=60)
