"""While a postStart hook runs, nobody learns that its container does: the kubelet waits for it."""

import msgspec
import pytest
from podclock import C, Clock, Driver, alive, container_of, next_driver, pod_of, record

from contract.messages.health import Exec, Probe, Sleep, TcpSocket
from contract.messages.report import ContainerReport, Running, Terminated, Waiting
from wasm_executor.domain.checks import HookKind, ProbeKind
from wasm_executor.domain.effects import AbandonHook, Effect, RunProbe, SignalRun
from wasm_executor.domain.inputs import Condemned, Halted, PlanArrived
from wasm_executor.domain.logs import NoLogError, has_ended, run_to_read
from wasm_executor.domain.pause import CREATING
from wasm_executor.domain.pod import DEADLINE
from wasm_executor.domain.states import Phase

GREET = Exec(command=("greet",))
ASK = Probe(action=TcpSocket(port=1), initial_delay_s=3, period_s=1)
UNHOOKED = Waiting(reason="PostStartHookError", message="Exec lifecycle hook ([greet]) failed")
TERM, KILL = (SignalRun(container=C, run=0, signum=number) for number in (15, 9))
MANY_S = 100.0


def hooked(clock: Clock, **more: object) -> Driver:
    """A container whose hook runs."""
    driver = Driver(clock, pod_of(container_of(C, post_start=GREET, **more)))
    driver.begin()
    return driver


def asked(effects: list[Effect]) -> list[ProbeKind]:
    return [each.kind for each in effects if isinstance(each, RunProbe)]


def is_up(shown: ContainerReport) -> tuple[bool, bool, bool]:
    return isinstance(shown.state, Running), shown.started, shown.ready


def test_a_first_start_is_still_creating_until_its_hook_is_done(clock: Clock) -> None:
    driver = hooked(clock)
    shown = driver.shown()
    assert (shown.state, shown.container_id) == (CREATING, "")
    assert is_up(shown) == (False, False, False)
    driver.hooked(HookKind.POST_START)
    assert is_up(driver.shown()) == (True, True, True)


def test_a_report_may_wait_for_a_prompt_hook(clock: Clock) -> None:
    driver = hooked(clock)
    assert not driver.pod.settled
    driver.hooked(HookKind.POST_START)
    assert driver.pod.settled


@pytest.mark.parametrize("kind", ProbeKind)
def test_no_probe_is_asked_before_the_hook_is_done(clock: Clock, kind: ProbeKind) -> None:
    driver = hooked(clock, **{kind.value: ASK})
    assert driver.pod.next_wake() is None
    assert asked(driver.wait(MANY_S)) == []
    assert asked(driver.hooked(HookKind.POST_START)) == [kind]


def test_an_initial_delay_counts_from_the_start_of_the_container(clock: Clock) -> None:
    driver = hooked(clock, readiness=ASK)
    driver.wait(2)
    assert asked(driver.hooked(HookKind.POST_START)) == []
    assert asked(driver.wait(0.9)) == []
    assert asked(driver.wait(0.2)) == [ProbeKind.READINESS]


def test_a_restart_after_a_back_off_shows_the_back_off_until_its_hook_is_done(
    clock: Clock,
) -> None:
    driver = hooked(clock)
    driver.hooked(HookKind.POST_START)
    driver.ended(1)
    driver.run()
    driver.hooked(HookKind.POST_START)
    driver.ended(1)
    before = driver.shown()
    assert isinstance(before.state, Waiting)
    assert before.state.reason == "CrashLoopBackOff"
    driver.wait(10.1)
    driver.run()
    assert driver.phases()[C] is Phase.POST_START
    assert driver.shown() == before
    driver.hooked(HookKind.POST_START)
    after = driver.shown()
    assert is_up(after) == (True, True, True)
    assert after.restart_count == before.restart_count + 1


def test_an_end_during_the_hook_is_the_end_of_that_run(clock: Clock) -> None:
    driver = hooked(clock, restart_policy="Never")
    driver.ended(3)
    state = driver.shown().state
    assert isinstance(state, Terminated)
    assert (state.exit_code, state.container_id) == (3, driver.shown().container_id)


def fail(driver: Driver) -> ContainerReport:
    driver.hooked(HookKind.POST_START, failure="Exec lifecycle hook ([greet]) failed")
    driver.ended(143)
    return driver.shown()


def test_a_failed_hook_is_what_its_container_waits_for_until_the_next_run(clock: Clock) -> None:
    driver = hooked(clock)
    shown = fail(driver)
    assert shown.state == UNHOOKED
    assert shown.last_state is not None
    assert shown.last_state.exit_code == 143
    driver.run()
    assert driver.phases()[C] is Phase.POST_START
    assert driver.shown() == shown
    driver.hooked(HookKind.POST_START)
    assert is_up(driver.shown()) == (True, True, True)


def test_a_hook_that_fails_again_is_shown_before_the_back_off_is(clock: Clock) -> None:
    driver = hooked(clock)
    fail(driver)
    driver.run()
    assert fail(driver).state == UNHOOKED
    driver.wait(2.1)
    state = driver.shown().state
    assert isinstance(state, Waiting)
    assert (state.reason, state.message[:13]) == ("CrashLoopBackOff", "back-off 10s ")
    assert [each for each, _ in driver.reasons()].count("BackOff") == 1
    driver.wait(8)
    assert driver.phases()[C] is Phase.PREPARING


def test_a_container_that_never_restarts_ends_with_its_failed_hook(clock: Clock) -> None:
    driver = hooked(clock, restart_policy="Never")
    state = fail(driver).state
    assert isinstance(state, Terminated)
    assert (state.exit_code, state.reason) == (143, "Error")


def test_a_container_whose_hook_failed_is_never_shown_as_running(clock: Clock) -> None:
    driver = hooked(clock, pre_stop=Sleep(seconds=5), readiness=ASK)
    driver.hooked(HookKind.POST_START, failure="no")
    assert is_up(driver.shown()) == (False, False, False)
    assert asked(driver.wait(4)) == []
    driver.hooked(HookKind.PRE_STOP)
    assert is_up(driver.shown()) == (False, False, False)
    driver.ended(143)
    assert isinstance(driver.shown().state, Waiting)


@pytest.mark.parametrize(
    "news",
    [Condemned(sentence=DEADLINE, grace_s=30.0), Halted(grace_s=30.0)],
    ids=["deadline", "halted"],
)
def test_a_pod_that_ends_during_the_hook_ends_within_its_grace(
    clock: Clock, news: Condemned | Halted
) -> None:
    driver = hooked(clock)
    assert driver.tell(news) == [AbandonHook(container=C), TERM]
    assert is_up(driver.shown()) == (True, False, False)
    assert driver.wait(29.9) == []
    assert KILL in driver.wait(0.2)


def test_a_pod_that_is_deleted_during_the_hook_ends_within_its_grace(clock: Clock) -> None:
    driver = hooked(clock)
    assert driver.delete(30) == [AbandonHook(container=C), TERM]
    assert is_up(driver.shown()) == (True, False, False)
    assert driver.wait(29.9) == []
    assert driver.wait(0.2) == [KILL]


def test_a_deadline_counts_while_the_hook_runs(clock: Clock) -> None:
    plan = pod_of(container_of(C, post_start=GREET), active_deadline_s=60)
    driver = Driver(clock, plan)
    driver.begin()
    assert driver.wait(60.1) == [AbandonHook(container=C), TERM]


def test_a_supervisor_that_finds_it_running_takes_the_hook_for_done(clock: Clock) -> None:
    before = hooked(clock, readiness=ASK)
    clock.turn(10)
    after = next_driver(clock, before.pod.plan, record(before), alive(clock))
    assert is_up(after.shown()) == (True, True, False)
    assert asked(after.wait(1.1)) == [ProbeKind.READINESS]


def test_no_log_is_read_of_a_first_start_before_its_hook_is_done(clock: Clock) -> None:
    (container,) = hooked(clock).pod.containers
    with pytest.raises(NoLogError, match="is waiting to start: ContainerCreating"):
        run_to_read("pod", container, previous=False)


def test_the_log_of_the_run_before_is_read_until_the_hook_is_done(clock: Clock) -> None:
    driver = hooked(clock)
    driver.ended(1)
    driver.run()
    (container,) = driver.pod.containers
    assert run_to_read("pod", container, previous=False) == 0
    assert has_ended(container, 0)
    driver.hooked(HookKind.POST_START)
    assert run_to_read("pod", container, previous=False) == 1
    assert run_to_read("pod", container, previous=True) == 0
    assert not has_ended(container, 1)


def test_another_image_does_not_wait_for_the_hook(clock: Clock) -> None:
    driver = hooked(clock)
    changed = msgspec.structs.replace(driver.pod.plan.containers[0], image="another")
    assert TERM in driver.tell(PlanArrived(plan=pod_of(changed)))
    assert is_up(driver.shown()) == (False, False, False)
