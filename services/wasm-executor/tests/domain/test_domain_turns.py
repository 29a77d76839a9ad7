"""Init containers, sidecars, apps, ephemeral containers: who begins and who ends when."""

import msgspec
import pytest
from pod_turns import PROBE, begun, prepares
from podclock import (
    Clock,
    Driver,
    container_of,
    init_of,
    next_driver,
    pod_of,
    record,
    sidecar_of,
)

from contract.messages.pod import (
    ContainerRole,
    RestartPolicy,
    RestartRule,
    RuleAction,
)
from contract.messages.report import Running, Terminated, Waiting
from wasm_executor.domain.checks import ProbeKind, Verdict
from wasm_executor.domain.effects import SignalRun
from wasm_executor.domain.inputs import PlanArrived
from wasm_executor.domain.states import Phase


def signalled(driver: Driver) -> list[tuple[str, int]]:
    return [(each.container, each.signum) for each in driver.effects if isinstance(each, SignalRun)]


def test_init_containers_run_one_after_the_other_before_the_apps(clock: Clock) -> None:
    driver = begun(clock, pod_of(init_of("one"), init_of("two"), container_of("app")))
    assert prepares(driver) == ["one"]
    driver.run("one")
    assert prepares(driver) == []
    driver.ended(0, "one")
    assert prepares(driver) == ["two"]
    driver.run("two")
    driver.ended(0, "two")
    assert prepares(driver) == ["app"]
    driver.run("app")
    assert driver.shown("one").ready
    assert not driver.shown("one").started
    assert isinstance(driver.shown("app").state, Running)


def test_everything_in_a_pod_with_init_containers_waits_for_its_initialization(
    clock: Clock,
) -> None:
    driver = begun(clock, pod_of(init_of("one"), container_of("app")))
    for name in ("one", "app"):
        assert driver.shown(name).state == Waiting(reason="PodInitializing")
    driver.run("one")
    assert driver.pod.settled, "this can last: it is to be reported"


@pytest.mark.parametrize(
    ("policy", "again"),
    [(RestartPolicy.ALWAYS, True), (RestartPolicy.ON_FAILURE, True), (RestartPolicy.NEVER, False)],
)
def test_an_init_container_that_fails_is_repeated_or_ends_its_pod(
    clock: Clock, policy: RestartPolicy, *, again: bool
) -> None:
    driver = begun(clock, pod_of(init_of("one"), container_of("app"), policy=policy))
    driver.run("one")
    driver.ended(3, "one")
    assert prepares(driver) == (["one"] if again else [])
    assert driver.pod.stopped is not again
    assert driver.shown("app").state == Waiting(reason="PodInitializing")


def test_an_init_container_that_succeeded_is_not_repeated_under_always(clock: Clock) -> None:
    driver = begun(clock, pod_of(init_of("one"), container_of("app")))
    driver.run("one")
    driver.ended(0, "one")
    driver.run("app")
    driver.ended(1, "app")
    assert prepares(driver) == ["app"]
    assert driver.phases()["one"] is Phase.ENDED


def test_a_sidecar_has_started_before_the_next_begins_and_goes_on(clock: Clock) -> None:
    driver = begun(clock, pod_of(sidecar_of("proxy", startup=PROBE), container_of("app")))
    driver.run("proxy")
    assert prepares(driver) == []
    assert not driver.shown("proxy").started
    driver.wait(0.2)
    driver.probed(ProbeKind.STARTUP, Verdict.SUCCESS, "proxy")
    assert prepares(driver) == ["app"]
    driver.run("app")
    assert driver.shown("proxy").ready
    assert driver.shown("proxy").started


def test_a_restart_of_all_waits_for_its_sidecars_anew(clock: Clock) -> None:
    rule = RestartRule(action=RuleAction.RESTART_ALL, exit_codes=(42,))
    app = container_of("app", restart_policy=RestartPolicy.NEVER, restart_rules=(rule,))
    driver = begun(clock, pod_of(sidecar_of("proxy", startup=PROBE), app))
    driver.run("proxy")
    driver.wait(0.2)
    driver.probed(ProbeKind.STARTUP, Verdict.SUCCESS, "proxy")
    driver.run("app")
    driver.ended(42, "app")
    driver.ended(143, "proxy")
    assert prepares(driver) == ["proxy"]
    driver.run("proxy")
    assert driver.phases()["app"] is Phase.PENDING


def test_sidecars_end_after_the_apps_in_reverse_order_when_the_pod_is_deleted(
    clock: Clock,
) -> None:
    plan = pod_of(sidecar_of("first"), sidecar_of("second"), container_of("a"), container_of("b"))
    driver = begun(clock, plan)
    for name in ("first", "second", "a", "b"):
        driver.run(name)
    driver.delete(30)
    assert signalled(driver) == [("a", 15), ("b", 15)]
    driver.ended(143, "a")
    assert signalled(driver) == []
    driver.ended(143, "b")
    assert signalled(driver) == [("second", 15)]
    driver.ended(143, "second")
    assert signalled(driver) == [("first", 15)]
    driver.ended(143, "first")
    assert driver.pod.stopped


def test_sidecars_that_wait_for_an_app_beyond_the_grace_still_get_two_seconds(
    clock: Clock,
) -> None:
    driver = begun(clock, pod_of(sidecar_of("proxy"), container_of("app")))
    driver.run("proxy")
    driver.run("app")
    driver.delete(5)
    driver.wait(5.1)
    assert signalled(driver) == [("proxy", 15), ("app", 9)]
    driver.wait(1.8)
    assert signalled(driver) == []
    driver.wait(0.3)
    assert ("proxy", 9) in signalled(driver)


@pytest.mark.parametrize("code", [0, 1])
def test_a_pod_whose_apps_have_ended_ends_its_sidecars(clock: Clock, code: int) -> None:
    plan = pod_of(sidecar_of("proxy"), container_of("app"), policy=RestartPolicy.NEVER)
    driver = begun(clock, plan)
    driver.run("proxy")
    driver.run("app")
    driver.ended(code, "app")
    assert signalled(driver) == [("proxy", 15)]
    driver.ended(143, "proxy")
    assert driver.pod.stopped
    end = driver.shown("app").state
    assert isinstance(end, Terminated)
    assert end.exit_code == code


def test_an_ephemeral_container_begins_when_it_is_added_and_never_again(clock: Clock) -> None:
    driver = begun(clock, pod_of(init_of("one"), container_of("app")))
    plan = driver.pod.plan
    debugger = container_of("debug", role=ContainerRole.EPHEMERAL)
    driver.tell(
        PlanArrived(plan=msgspec.structs.replace(plan, containers=(*plan.containers, debugger)))
    )
    assert prepares(driver) == ["debug"]
    driver.run("debug")
    driver.ended(1, "debug")
    assert prepares(driver) == []
    assert driver.phases()["debug"] is Phase.ENDED
    assert not driver.pod.stopped


def test_an_ephemeral_container_that_is_added_to_a_pod_that_ends_waits_for_ever(
    clock: Clock,
) -> None:
    driver = Driver(clock, pod_of(container_of("c")))
    driver.begin()
    driver.delete(30)
    debug = container_of("debug", role=ContainerRole.EPHEMERAL)
    plan = driver.pod.plan
    added = msgspec.structs.replace(plan, containers=(*plan.containers, debug))
    assert driver.tell(PlanArrived(plan=added)) == []
    waiting = Waiting(reason="ContainerCreating")
    assert driver.shown("debug").state == waiting
    driver.ended(143)
    assert driver.pod.stopped
    assert driver.shown("debug").state == waiting


def test_a_pod_does_not_wait_for_its_ephemeral_containers(clock: Clock) -> None:
    plan = pod_of(
        container_of("app"),
        container_of("debug", role=ContainerRole.EPHEMERAL),
        policy=RestartPolicy.NEVER,
    )
    driver = begun(clock, plan)
    driver.run("debug")
    driver.run("app")
    driver.ended(0, "app")
    assert signalled(driver) == [("debug", 15)]


def test_a_restarted_executor_repeats_no_init_container_and_starts_sidecars_first(
    clock: Clock,
) -> None:
    plan = pod_of(init_of("one"), sidecar_of("proxy"), container_of("app"))
    before = begun(clock, plan)
    before.run("one")
    before.ended(0, "one")
    before.run("proxy")
    before.run("app")
    clock.turn(60)
    after = next_driver(clock, plan, record(before), same_life=False)
    assert prepares(after) == ["proxy"]
    assert after.phases()["one"] is Phase.ENDED
    after.run("proxy")
    assert prepares(after) == ["app"]
    assert after.shown("app").restart_count == 0
    after.run("app")
    assert [after.shown(each).restart_count for each in ("one", "proxy", "app")] == [0, 1, 1]


def test_a_pod_that_was_finished_starts_no_sidecar_after_a_restart(clock: Clock) -> None:
    plan = pod_of(sidecar_of("proxy"), container_of("app"), policy=RestartPolicy.NEVER)
    before = begun(clock, plan)
    before.run("proxy")
    before.run("app")
    before.ended(0, "app")
    after = next_driver(clock, plan, record(before), same_life=False)
    assert after.pod.stopped
    assert prepares(after) == []
