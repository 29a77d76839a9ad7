"""kill -9 of everything that may die alone, in turn, while pods log: what each death costs.

Architecture, section 4: services, zygote, supervisor and bus cost a container nothing, not even a
line. A container's own death is its pod's business alone. The keeper's ends every container once.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.anatomy import Anatomy, Part, guests_of, offspring_of
from e2e.counting import ALWAYS, NEVER, ON_FAILURE, Name, assert_consecutive
from e2e.expectations import eventually
from e2e.faults import SHORT, Baseline, Followed, Scene, scene
from e2e.images import Images
from e2e.processes import Process
from e2e.running_wasmlet import RunningWasmlet

from controlplane import ControlPlane

NODE = "kills"
PODS = 12
TELLING = (Part.RECONCILER, Part.SUPERVISOR)
"""What the API server shows is their word."""


@pytest.fixture(scope="module")
def kills(
    control_plane: ControlPlane, images: Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    options = ["--insecure-registry", images.registry.host, *SHORT]
    folder = tmp_path_factory.mktemp(NODE) / "up"
    wasmlet = RunningWasmlet(control_plane, folder, node_name=NODE, options=options)
    with scene(control_plane, images, wasmlet) as kills:
        kills.counting.create(images, NODE, PODS)
        yield kills


@pytest.mark.parametrize(
    "part",
    [
        Part.REGISTRAR,
        Part.RECONCILER,
        Part.LOG_SERVER,
        Part.NATS,
        Part.ZYGOTE,
        Part.SUPERVISOR,
    ],
)
def test_no_container_and_no_line_is_lost_with(part: Part, kills: Scene) -> None:
    before = Baseline(kills)
    kills.anatomy.await_successor(part, kills.anatomy.kill(part))
    kills.assert_recovered()
    before.assert_untouched()
    if part in TELLING:
        before.assert_always_ready()


def test_no_start_fails_for_processes_that_died_waiting_for_one(kills: Scene) -> None:
    before = Baseline(kills)
    for spare in eventually(kills.anatomy.spares):
        spare.kill()
    kills.assert_recovered()
    before.assert_untouched()


@pytest.mark.parametrize("part", [Part.NATS, Part.SUPERVISOR])
def test_a_followed_log_goes_on_after_the_death_of(
    part: Part, kills: Scene, tmp_path: Path
) -> None:
    whose = Name("pod-00", "second")
    with Followed(kills, whose, tmp_path) as followed:
        eventually(followed.numbers)
        kills.anatomy.await_successor(part, kills.anatomy.kill(part))
        followed.await_number(kills.counting.written(whose)[-1] + 10)


def test_a_followed_log_ends_with_its_log_server_and_the_next_begins_where_it_is_asked(
    kills: Scene, tmp_path: Path
) -> None:
    whose = Name("pod-00", "second")
    with Followed(kills, whose, tmp_path) as followed:
        eventually(followed.numbers)
        victim = kills.anatomy.kill(Part.LOG_SERVER)
        shown = followed.until_its_end()
    written = kills.counting.written(whose)
    assert shown == [number for number in written if shown[0] <= number <= shown[-1]]
    kills.anatomy.await_successor(Part.LOG_SERVER, victim)
    kills.assert_recovered()  # the API server has the address of the next one
    last = kills.counting.written(whose)[-1]
    with Followed(kills, whose, tmp_path) as followed:
        followed.await_number(kills.counting.written(whose)[-1] + 10)
        assert followed.numbers()[0] >= last


@pytest.mark.parametrize("policy", [ALWAYS, ON_FAILURE, NEVER])
def test_a_killed_container_is_its_pods_business_alone(policy: str, kills: Scene) -> None:
    before, counting = Baseline(kills), kills.counting
    name = Name(f"victim-{policy.lower()}", "main")
    counting.add(kills.images, NODE, name.pod, policy)
    counting.await_running()
    eventually(lambda: counting.written(name))
    (victim,) = kills.anatomy.await_more(before.processes, 1)
    victim.kill()
    if policy == NEVER:
        eventually(lambda: counting.is_over(name))
    else:
        eventually(lambda: counting.is_back(name))
    assert_consecutive(counting.written(name), name)
    counting.remove(name.pod)
    before.assert_untouched()


def test_the_keepers_death_ends_every_container_once(kills: Scene) -> None:
    """Runs last: afterwards the pods that never restart are over."""
    before, counting = Baseline(kills), kills.counting
    keeper = kills.anatomy.get(Part.KEEPER)
    eventually(lambda: guests_of(keeper) == before.processes)
    keeper.kill()
    await_containers_of_a_successor(kills.anatomy, keeper)
    again, over = counting.names(ALWAYS, ON_FAILURE), counting.names(NEVER)

    def converged() -> bool:
        return all(counting.is_back(name) for name in again) and all(
            counting.is_over(name) for name in over
        )

    eventually(converged)
    settled = kills.anatomy.await_count(len(again))
    kills.assert_recovered()
    assert converged()
    kills.anatomy.await_containers(settled)
    assert counting.finished() == before.finished, "what is finished is not repeated"
    shown, previous = counting.shown(), counting.shown_previous()
    for name in over:
        assert_consecutive(shown[name], name)
        assert shown[name] == counting.written(name)
    for name in again:
        assert_consecutive(previous[name], name)
        assert previous[name] == counting.written(name, run=0)
        assert_consecutive(shown[name], name)
        assert counting.written(name, run=1)[: len(shown[name])] == shown[name]


def await_containers_of_a_successor(anatomy: Anatomy, keeper: Process) -> None:
    """The next keeper begins containers, but only when the last one of the dead keeper's ended."""
    deadline = time.monotonic() + 20
    while not anatomy.containers():
        assert time.monotonic() < deadline, "no container comes back"
    assert not offspring_of(keeper), "two copies run"
