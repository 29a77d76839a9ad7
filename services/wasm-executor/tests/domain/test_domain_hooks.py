"""postStart and preStop: where the kubelet puts them."""

import pytest
from podclock import C, Clock, Driver, container_of, pod_of

from contract.messages.health import Exec, Probe, Sleep, TcpSocket
from contract.messages.pod import RestartPolicy
from wasm_executor.domain.checks import HookKind, ProbeKind, Verdict
from wasm_executor.domain.effects import AbandonHook, PrepareImage, RunHook, SignalRun
from wasm_executor.domain.states import Phase

TERM = SignalRun(container=C, run=0, signum=15)
KILL = SignalRun(container=C, run=0, signum=9)
GREET = Exec(command=("greet",))
WAIT = Sleep(seconds=5)


def begun(clock: Clock, *names: str, policy: RestartPolicy = RestartPolicy.ALWAYS) -> Driver:
    first = container_of(C, post_start=GREET, pre_stop=WAIT)
    driver = Driver(clock, pod_of(first, *map(container_of, names), policy=policy))
    driver.tell()
    return driver


def running(clock: Clock) -> Driver:
    driver = begun(clock)
    driver.run()
    driver.hooked(HookKind.POST_START)
    return driver


def hook(kind: HookKind, run: int = 0) -> RunHook:
    return RunHook(
        container=C, run=run, kind=kind, hook=GREET if kind is HookKind.POST_START else WAIT
    )


def test_post_start_runs_with_the_container_and_holds_back_the_next_one(clock: Clock) -> None:
    driver = begun(clock, "next")
    assert driver.run() == [hook(HookKind.POST_START)]
    assert driver.phases()["next"] is Phase.PENDING
    effects = driver.hooked(HookKind.POST_START)
    assert [each.container for each in effects if isinstance(each, PrepareImage)] == ["next"]


def test_a_failed_post_start_ends_the_container_and_then_the_next_one_begins(clock: Clock) -> None:
    driver = begun(clock, "next")
    driver.run()
    effects = driver.hooked(HookKind.POST_START, failure="secret 7")
    assert hook(HookKind.PRE_STOP) in effects
    assert ("FailedPostStartHook", "PostStartHook failed") in driver.reasons()
    assert ("Killing", "FailedPostStartHook") in driver.reasons()
    assert not any("secret" in message for _, message in driver.reasons())
    assert TERM in driver.hooked(HookKind.PRE_STOP)
    assert KILL in driver.wait(31)
    assert driver.phases()["next"] is Phase.PENDING, "the first one has yet to be dead"
    begun_now = {each.container for each in driver.ended(137) if isinstance(each, PrepareImage)}
    assert begun_now == {C, "next"}


def test_a_container_that_ends_while_its_post_start_runs_is_restarted(clock: Clock) -> None:
    driver = begun(clock)
    driver.run()
    assert any(isinstance(each, PrepareImage) for each in driver.ended(1))
    assert driver.hooked(HookKind.POST_START, failure="late") == []


def test_pre_stop_runs_before_sigterm_and_within_the_grace(clock: Clock) -> None:
    driver = running(clock)
    assert driver.delete(30) == [hook(HookKind.PRE_STOP)]
    clock.turn(20)
    assert driver.hooked(HookKind.PRE_STOP) == [TERM]
    assert driver.wait(9.9) == []
    assert driver.wait(0.2) == [KILL]


def test_a_pre_stop_that_takes_the_whole_grace_leaves_two_seconds(clock: Clock) -> None:
    driver = running(clock)
    driver.delete(30)
    assert driver.wait(30.1) == [AbandonHook(container=C), TERM]
    assert driver.wait(1.9) == []
    assert driver.wait(0.2) == [KILL]


def test_a_failed_pre_stop_is_told_and_stops_nothing(clock: Clock) -> None:
    driver = running(clock)
    driver.delete(30)
    assert driver.hooked(HookKind.PRE_STOP, failure="secret 7") == [TERM]
    assert ("FailedPreStopHook", "PreStopHook failed") in driver.reasons()


def test_there_is_no_pre_stop_without_grace(clock: Clock) -> None:
    assert running(clock).delete(0) == [TERM]


def test_a_grace_that_shrinks_to_nothing_ends_the_hook_that_runs(clock: Clock) -> None:
    driver = running(clock)
    driver.delete(30)
    assert driver.delete(0) == [AbandonHook(container=C), TERM]


def test_a_container_that_ends_during_its_pre_stop_is_over(clock: Clock) -> None:
    driver = running(clock)
    driver.delete(30)
    driver.ended(0)
    assert driver.pod.stopped
    assert driver.hooked(HookKind.PRE_STOP) == []


def test_a_deleted_pod_does_not_wait_for_its_post_start(clock: Clock) -> None:
    driver = begun(clock)
    driver.run()
    assert driver.delete(30) == [AbandonHook(container=C), hook(HookKind.PRE_STOP)]


@pytest.mark.parametrize("grace_s", [None, 4.0])
def test_a_container_that_a_probe_condemns_runs_its_pre_stop_too(
    clock: Clock, grace_s: float | None
) -> None:
    probe = Probe(action=TcpSocket(port=1), failure_threshold=1, termination_grace_s=grace_s)
    driver = Driver(clock, pod_of(container_of(C, pre_stop=WAIT, liveness=probe)))
    driver.begin()
    driver.wait(0.2)
    assert driver.probed(ProbeKind.LIVENESS, Verdict.FAILURE) == [hook(HookKind.PRE_STOP)]
    driver.wait(grace_s or 30.0)
    assert TERM in driver.effects
