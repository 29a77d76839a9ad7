"""Whom a sidecar that is down holds back, and whom not."""

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
    RestartPolicy,
)
from wasm_executor.domain.checks import ProbeKind, Verdict
from wasm_executor.domain.states import Phase


def crash_loop(driver: Driver, name: str) -> None:
    """Let a container that runs end twice: the second time it backs off."""
    driver.ended(1, name)
    driver.run(name)
    driver.ended(1, name)
    assert driver.phases()[name] is Phase.CRASH_BACK_OFF


def test_a_sidecar_that_is_down_again_holds_back_nobody(clock: Clock) -> None:
    driver = begun(clock, pod_of(sidecar_of("proxy"), init_of("one"), container_of("app")))
    driver.run("proxy")
    driver.run("one")
    crash_loop(driver, "proxy")
    driver.ended(0, "one")
    assert prepares(driver) == ["app"]
    driver.wait(10.1)
    assert prepares(driver) == ["proxy"], "it is started again beside the others"


def test_a_sidecar_that_has_yet_to_start_is_waited_for_however_often_it_crashes(
    clock: Clock,
) -> None:
    plan = pod_of(sidecar_of("proxy", startup=PROBE), container_of("app"))
    driver = begun(clock, plan)
    driver.run("proxy")
    crash_loop(driver, "proxy")
    driver.wait(10.1)
    driver.run("proxy")
    assert driver.phases()["app"] is Phase.PENDING
    driver.wait(0.2)
    driver.probed(ProbeKind.STARTUP, Verdict.SUCCESS, "proxy")
    assert prepares(driver) == ["app"]


def test_a_sidecar_that_is_down_holds_back_nobody_under_the_next_supervisor(clock: Clock) -> None:
    plan = pod_of(sidecar_of("proxy"), init_of("one"), container_of("app"))
    before = begun(clock, plan)
    before.run("proxy")
    before.run("one")
    crash_loop(before, "proxy")
    before.ended(0, "one")
    before.prepared("app")
    after = next_driver(clock, plan, record(before))
    assert after.phases()["proxy"] is Phase.CRASH_BACK_OFF
    assert prepares(after) == ["app"]


def test_a_sidecar_restarts_whatever_the_pod_s_policy_and_its_exit_code(clock: Clock) -> None:
    plan = pod_of(sidecar_of("proxy"), container_of("app"), policy=RestartPolicy.NEVER)
    driver = begun(clock, plan)
    driver.run("proxy")
    driver.run("app")
    driver.ended(0, "proxy")
    assert prepares(driver) == ["proxy"]
    assert not driver.pod.stopped
