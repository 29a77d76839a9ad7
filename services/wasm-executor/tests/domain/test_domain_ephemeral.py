"""Ephemeral containers come later, at any place among the others of their kind, and stay."""

import msgspec
from podclock import Clock, Driver, container_of, pod_of

from contract.messages.pod import ContainerRole, PodPlan
from contract.messages.report import Running
from wasm_executor.domain.effects import PrepareImage, SignalRun
from wasm_executor.domain.inputs import PlanArrived
from wasm_executor.domain.states import Phase


def running(clock: Clock) -> Driver:
    driver = Driver(clock, pod_of(container_of("app")))
    driver.tell()
    driver.run("app")
    return driver


def with_ephemeral(plan: PodPlan, *names: str) -> PodPlan:
    lasting = [each for each in plan.containers if each.role is not ContainerRole.EPHEMERAL]
    added = [container_of(name, role=ContainerRole.EPHEMERAL) for name in names]
    return msgspec.structs.replace(plan, containers=(*lasting, *added))


def prepares(driver: Driver) -> list[str]:
    return [each.container for each in driver.effects if isinstance(each, PrepareImage)]


def told_to_end(driver: Driver) -> list[str]:
    return sorted(each.container for each in driver.effects if isinstance(each, SignalRun))


def test_an_ephemeral_container_may_be_added_before_those_that_there_are(clock: Clock) -> None:
    driver = running(clock)
    plan = driver.pod.plan
    driver.tell(PlanArrived(plan=with_ephemeral(plan, "first")))
    driver.run("first")
    driver.tell(PlanArrived(plan=with_ephemeral(plan, "second", "first")))
    assert prepares(driver) == ["second"]
    driver.run("second")
    assert {driver.shown(name).restart_count for name in ("app", "first", "second")} == {0}
    assert driver.phases() == dict.fromkeys(("app", "first", "second"), Phase.RUNNING)
    driver.delete(30)
    assert told_to_end(driver) == ["app", "first", "second"]


def test_an_ephemeral_container_outlives_a_plan_that_leaves_it_out(clock: Clock) -> None:
    driver = running(clock)
    plan = driver.pod.plan
    driver.tell(PlanArrived(plan=with_ephemeral(plan, "debug")))
    driver.run("debug")
    driver.tell(PlanArrived(plan=plan))
    assert isinstance(driver.shown("debug").state, Running)
    driver.delete(30)
    assert told_to_end(driver) == ["app", "debug"]
