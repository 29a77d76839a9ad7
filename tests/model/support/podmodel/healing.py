"""What must be true once nothing goes wrong any more and some time has passed."""

from typing import Final

from podmodel.apiserver import NODE
from podmodel.folder import is_shown_as_mirror, own_uid
from podmodel.livepod import LivePod
from podmodel.validation import TERMINAL, Json
from podmodel.witness import EPHEMERAL
from podmodel.world import World
from wasm_executor.domain.states import Phase

PATIENCE_S: Final = 240.0
REST_S: Final = 16.0
"""Three beats: the digests have been compared."""
STEP_S: Final = 5.0
_AT_REST: Final = frozenset({Phase.RUNNING, Phase.ENDED})


def heal(world: World) -> None:
    """Everything is delivered, every guest does well, and time passes until all is at rest."""
    world.bus.prompt = world.watch_prompt = True
    world.leader.failing_writes = 0
    world.settle()
    ends_at, rest_since = world.clock.mono + PATIENCE_S, world.clock.mono
    while world.clock.mono < ends_at and world.clock.mono < rest_since + REST_S:
        for pod in tuple(world.executor.pods.values()):
            world.work_on(pod)
        world.finish_inits()
        world.settle()
        due = world.executor.next_time()
        step_s = STEP_S if due is None else due - world.clock.mono
        world.pass_time(min(max(step_s, 0.01), STEP_S))
        if not _is_at_rest(world):
            rest_since = world.clock.mono


def _is_at_rest(world: World) -> bool:
    if world.executor.halting or any(_is_leaving(pod) for pod in world.executor.pods.values()):
        return False
    deleted = any("deletionTimestamp" in pod["metadata"] for pod in world.api.pods.values())
    known = world.executor.pods.keys() | set(world.disk.uids())
    return not deleted and known <= _shown(world).keys() and _mirrored(world)


def _shown(world: World) -> dict[str, Json]:
    """What the API shows, by the UIDs that the node knows."""
    return {own_uid(pod): pod for pod in world.api.pods.values()}


def _mirrored(world: World) -> bool:
    """Each manifest has its mirror, and each mirror its manifest."""
    wanted = {f"{name}-{NODE}" for name in world.folder.names}
    mirrors = [each for each in world.api.pods.values() if is_shown_as_mirror(each)]
    statics = world.leader.statics
    return {each["metadata"]["name"] for each in mirrors} == wanted and not any(
        statics.due(name) for name in statics.names
    )


def _is_leaving(live: LivePod) -> bool:
    pod = live.pod
    if pod.cause is not None and not pod.stopped:
        return True
    return not all(each.phase in _AT_REST for each in pod.containers)


def assert_healed(world: World) -> None:
    """The API shows what is, and nothing is left of what is gone."""
    shown = _shown(world)
    assert len(shown) == len(world.api.pods), "a pod is shown twice"
    assert _mirrored(world), "the mirrors are not what the folder is"
    for uid, pod in shown.items():
        assert "deletionTimestamp" not in pod["metadata"], f"{uid} is still there"
        _assert_shown(world, uid, pod)
        _assert_gated(pod)
        _assert_wanted(world, pod)
    gone = (world.executor.pods.keys() | set(world.disk.uids())) - shown.keys()
    assert not gone, f"{gone} are still known"
    left = [each.key for each in world.keeper.alive() if each.key.uid not in shown]
    assert not left, f"{left} still run"
    assert world.disk.plans.keys() <= shown.keys()
    assert {key.uid for key in world.keeper.table} <= shown.keys()
    assert not world.leader.view.strangers
    assert set(world.leader.view.records) == shown.keys()


def _assert_wanted(world: World, pod: Json) -> None:
    """A static pod that always restarts runs as long as the folder has it."""
    spec, containers = (
        pod["spec"],
        (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]),
    )
    is_lasting = spec["restartPolicy"] == "Always" and "activeDeadlineSeconds" not in spec
    own = any("restartPolicy" in each for each in containers)
    if is_shown_as_mirror(pod) and is_lasting and not own and world.disk.drain is None:
        assert pod["status"]["phase"] == "Running", pod["status"]


def _assert_gated(pod: Json) -> None:
    """Ready are pods whose containers are, and whose gates are open."""
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", ())}
    if "Ready" not in conditions:
        return
    gates = (each["conditionType"] for each in pod["spec"].get("readinessGates", ()))
    wanted = all(conditions.get(each) == "True" for each in ("ContainersReady", *gates))
    assert (conditions["Ready"] == "True") == wanted, conditions


def _assert_shown(world: World, uid: str, pod: Json) -> None:
    status = pod["status"]
    record = next(each for each in world.leader.view.records.values() if each.uid == uid)
    terminal = status["phase"] in TERMINAL
    assert record.report is not None or terminal, f"{uid} was never reported"
    live = world.executor.pods.get(uid)
    # Of a pod that has ended, its node may keep no more than a record.
    if record.report is not None and not (terminal and live is None):
        assert live is not None, f"{uid} is not known to its node"
        assert record.report.containers == live.pod.reports(), f"{uid}: an old report"
        patch = world.leader.patch(record)
        assert patch is None, f"{uid}: {patch!r} was not written"
        assert terminal or live.stored.digest == record.plan_digest, f"{uid}: an old plan"
        assert terminal == live.pod.stopped, f"{uid} is {status['phase']}"
    for name, shown in world.api.statuses(pod["metadata"]["uid"]).items():
        runs = world.keeper.runs(uid, name)
        assert ("running" in shown["state"]) == runs, f"{uid}/{name}: {shown['state']}, {runs}"
        waits = "waiting" in shown["state"]
        if not terminal and world.witness.role(uid, name) != EPHEMERAL:
            assert not waits, f"{uid}/{name} waits for ever: {shown['state']}"
    if not terminal:
        assert world.keeper.alive(uid), f"nothing runs of {uid}, which is {status['phase']}"
