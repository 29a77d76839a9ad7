"""Which plan counts, which name is one, which log is read."""

from datetime import timedelta

import msgspec
import pytest
from podclock import Clock, Driver, container_of, plan_of, pod_of

from contract.ids import ContainerName, PodUid
from contract.messages.form import STATIC_TERM
from contract.messages.pod import ContainerRole, PodPlan, RestartPolicy
from wasm_executor.domain.logs import NoLogError, has_ended, run_to_read
from wasm_executor.domain.naming import flaw_of
from wasm_executor.domain.ordering import Rank, Standing, has_same_containers, standing

LATER = msgspec.structs.replace(STATIC_TERM, created_at=STATIC_TERM.created_at + timedelta(days=1))
KNOWN = Rank(term=STATIC_TERM, revision=5)


@pytest.mark.parametrize(
    ("rank", "digest", "verdict"),
    [
        (Rank(term=STATIC_TERM, revision=6), "other", Standing.NEW),
        (Rank(term=STATIC_TERM, revision=6), "known", Standing.SAME),
        (Rank(term=STATIC_TERM, revision=5), "known", Standing.REPEATED),
        (Rank(term=STATIC_TERM, revision=4), "known", Standing.REPEATED),
        (Rank(term=STATIC_TERM, revision=5), "other", Standing.OUTDATED),
        (Rank(term=STATIC_TERM, revision=4), "other", Standing.OUTDATED),
        (Rank(term=LATER, revision=1), "other", Standing.NEW),
    ],
)
def test_plans_are_ordered_by_term_and_revision_and_compared_by_digest(
    rank: Rank, digest: str, verdict: Standing
) -> None:
    assert standing(KNOWN, "known", rank, digest) is verdict


def test_the_first_plan_of_a_pod_is_new() -> None:
    assert standing(None, "", KNOWN, "any") is Standing.NEW


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (("app", "other", "e1"), True),
        (("app", "other", "e2", "e1"), True),
        (("app", "other"), True),
        (("other", "app", "e1"), False),
        (("app", "e1"), False),
        (("app", "other", "third", "e1"), False),
    ],
)
def test_only_ephemeral_containers_come_later_and_at_any_place(
    names: tuple[str, ...], *, same: bool
) -> None:
    assert has_same_containers(named("app", "other", "e1"), named(*names)) is same


def named(*names: str) -> PodPlan:
    """Those with a number in their name are ephemeral."""
    roles = {True: ContainerRole.EPHEMERAL, False: ContainerRole.APP}
    return pod_of(*(container_of(each, role=roles[each[-1].isdecimal()]) for each in names))


def renamed(**names: str) -> PodPlan:
    return msgspec.structs.replace(plan_of(), **names)


@pytest.mark.parametrize(
    "plan",
    [
        renamed(name="../etc"),
        renamed(name="a/b"),
        renamed(name="a..b"),
        renamed(name=""),
        renamed(namespace="a.b"),
        renamed(namespace="a_b"),
        renamed(uid="../u"),
        renamed(uid="u/v"),
        plan_of(RestartPolicy.ALWAYS, "c", "c"),
        plan_of(RestartPolicy.ALWAYS, "../c"),
        msgspec.structs.replace(plan_of(), containers=()),
    ],
)
def test_a_plan_with_a_name_that_is_none_is_refused(plan: PodPlan) -> None:
    assert flaw_of(plan) is not None


def test_kubernetes_names_are_names() -> None:
    plan = renamed(name="web.0-x", namespace="kube-system", uid=PodUid("2f0a-11"))
    assert flaw_of(plan) is None


def test_a_log_is_of_the_run_that_is_shown(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    container = driver.pod.containers[0]
    driver.tell()
    with pytest.raises(NoLogError, match="waiting to start: ContainerCreating"):
        run_to_read("pod", container, previous=False)
    driver.run()
    assert run_to_read("pod", container, previous=False) == 0
    with pytest.raises(NoLogError, match='previous terminated container "c" in pod "pod" not'):
        run_to_read("pod", container, previous=True)
    driver.ended(1)
    assert run_to_read("pod", container, previous=False) == 0
    driver.run()
    assert run_to_read("pod", container, previous=False) == 1
    assert run_to_read("pod", container, previous=True) == 0
    assert has_ended(container, 0)
    assert not has_ended(container, 1)
    driver.ended(1)
    assert run_to_read("pod", container, previous=False) == 1
    assert run_to_read("pod", container, previous=True) == 1
    assert has_ended(container, 1)


def test_the_log_of_a_finished_container_stays_and_its_predecessor_too(clock: Clock) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.ON_FAILURE))
    container = driver.pod.containers[0]
    driver.begin()
    driver.ended(1)
    driver.run()
    driver.ended(0)
    assert run_to_read("pod", container, previous=False) == 1
    assert run_to_read("pod", container, previous=True) == 0


def test_a_restart_that_waits_for_its_image_shows_the_run_before(clock: Clock) -> None:
    driver = Driver(clock, plan_of())
    container = driver.pod.containers[0]
    driver.begin()
    driver.ended(1)
    driver.unprepared("ErrImagePull", "x", "y")
    assert run_to_read("pod", container, previous=False) == 0
    driver.wait(10.1)
    driver.prepared()
    assert run_to_read("pod", container, previous=False) == 0
    assert has_ended(container, 0)


def test_a_container_of_its_own_name_only(clock: Clock) -> None:
    driver = Driver(clock, plan_of(RestartPolicy.ALWAYS, "c", "d"))
    driver.tell()
    driver.run("c")
    with pytest.raises(NoLogError, match='container "d" in pod "pod" is waiting to start'):
        run_to_read("pod", driver.pod.containers[1], previous=False)
    assert driver.pod.containers[1].plan.name == ContainerName("d")
