"""What users expect when they empty a Node: budgets are kept, and everything runs elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from e2e.api import Api
from e2e.expectations import eventually
from e2e.history import (
    DELETED,
    MODIFIED,
    Pod,
    condition,
    is_available,
    is_deleting,
    is_over,
    name_of,
    uid_of,
)
from e2e.running_wasmlet import RunningWasmlet
from e2e.workloads import Kind, Workloads, replicated, template

from controlplane import ControlPlane

NAME = "guarded"
TAINT = "example.com/maintenance"
REPLICAS = 2
DRAINED_WITHIN_S = 40


@pytest.fixture
def nodes(control_plane: ControlPlane, wasmlet_up: RunningWasmlet) -> Iterator[tuple[str, str]]:
    """One that is to be drained, and another, which takes no pods until it is uncordoned."""
    first, second = wasmlet_up.nodes
    control_plane.kubectl("cordon", second)
    yield first, second
    control_plane.kubectl("uncordon", first, second)


def test_a_drain_stops_at_the_budget_and_ends_when_replacements_run_on_another_node(
    workloads: Workloads, first_image: str, nodes: tuple[str, str], tmp_path: Path
) -> None:
    drained, other = nodes
    start(workloads, first_image)
    allow(workloads, min_available=1, disruptions=1)
    assert where(workloads) == [drained] * REPLICAS
    history = workloads.history()
    out = tmp_path / "drain"
    with workloads.running_kubectl(out, *draining(drained)) as kubectl:
        eventually(lambda: "would violate the pod's disruption budget" in out.read_text())
        assert where(workloads) == [drained]
        workloads.kubectl("uncordon", other)
        assert kubectl.wait(DRAINED_WITHIN_S) == 0, out.read_text()
    eventually(lambda: where(workloads) == [other] * REPLICAS)
    moments = history.moments()
    assert min(moment.count(is_available) for moment in moments) == 1
    gone = [moment.pod for moment in moments if moment.kind == DELETED]
    assert [pod["spec"]["nodeName"] for pod in gone] == [drained] * REPLICAS


def test_the_last_status_of_an_evicted_pod_says_that_it_was_disrupted(
    workloads: Workloads, first_image: str, nodes: tuple[str, str]
) -> None:
    drained, other = nodes
    start(workloads, first_image)
    history = workloads.history()
    workloads.kubectl("uncordon", other)
    workloads.kubectl(*draining(drained))
    gone = [moment.pod for moment in history.moments() if moment.kind == DELETED]
    assert len(gone) == REPLICAS
    for pod in gone:
        target = condition(pod, "DisruptionTarget")
        assert (target["status"], target["reason"]) == ("True", "EvictionByEvictionAPI")
        assert is_over(pod)
        assert condition(pod, "Ready")["status"] == "False"


def test_pods_leave_a_node_whose_new_taint_they_do_not_tolerate(
    workloads: Workloads, first_image: str, nodes: tuple[str, str]
) -> None:
    tainted, other = nodes
    start(workloads, first_image)
    history = workloads.history()
    workloads.kubectl("uncordon", other)
    workloads.kubectl("taint", "node", tainted, f"{TAINT}=yes:NoExecute")
    try:
        eventually(lambda: where(workloads) == [other] * REPLICAS)
        eventually(lambda: len(workloads.pods.all()) == REPLICAS)
    finally:
        workloads.kubectl("taint", "node", tainted, f"{TAINT}-")
    gone = [moment.pod for moment in history.moments() if moment.kind == DELETED]
    assert [pod["spec"]["nodeName"] for pod in gone] == [tainted] * REPLICAS
    reasons = {condition(pod, "DisruptionTarget")["reason"] for pod in gone}
    assert reasons == {"DeletionByTaintManager"}
    assert all(is_over(pod) for pod in gone)


def test_an_eviction_that_the_budget_does_not_allow_is_refused_and_touches_nothing(
    workloads: Workloads, first_image: str, nodes: tuple[str, str], api: Api
) -> None:
    assert nodes
    start(workloads, first_image)
    allow(workloads, min_available=REPLICAS, disruptions=0)
    history = workloads.history()
    name = name_of(workloads.pods.all()[0])
    with pytest.raises(httpx.HTTPStatusError, match="disruption budget") as refused:
        evict(api, workloads, name)
    assert refused.value.response.status_code == httpx.codes.TOO_MANY_REQUESTS
    assert not [moment for moment in history.moments() if is_deleting(moment.pod)]


def test_a_job_counts_no_failure_for_a_pod_that_was_evicted(
    workloads: Workloads, first_image: str, api: Api
) -> None:
    disrupted = [{"type": "DisruptionTarget", "status": "True"}]
    policy = {"rules": [{"action": "Ignore", "onPodConditions": disrupted}]}
    pods = template(NAME, first_image, restart="Never")
    spec = {"template": pods, "backoffLimit": 0, "podFailurePolicy": policy}
    workloads.create(Kind.JOB, NAME, spec)
    (first,) = eventually(lambda: [each for each in workloads.pods.all() if is_available(each)])
    history = workloads.history()
    evict(api, workloads, name_of(first))

    def replacements() -> list[Pod]:
        return [each for each in workloads.pods.all() if uid_of(each) != uid_of(first)]

    eventually(lambda: any(is_available(each) for each in replacements()))
    status = workloads.status(Kind.JOB, NAME)
    assert (status["active"], status.get("failed", 0)) == (1, 0)
    # Only what ended counts as failed at all: the pod was Failed before it was gone.
    ended = [moment for moment in history.moments() if moment.kind == MODIFIED]
    assert any(is_over(moment.pod) for moment in ended if moment.name == name_of(first))


def start(workloads: Workloads, image: str) -> None:
    """All pods of a Deployment run."""
    workloads.create(Kind.DEPLOYMENT, NAME, replicated(NAME, image, REPLICAS))
    workloads.kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=40s")


def allow(workloads: Workloads, *, min_available: int, disruptions: int) -> None:
    """A budget that is in force."""
    spec = {"minAvailable": min_available, "selector": {"matchLabels": {"app": NAME}}}
    workloads.create(Kind.DISRUPTION_BUDGET, NAME, spec)
    status = workloads.await_observed(Kind.DISRUPTION_BUDGET, NAME)
    assert status["disruptionsAllowed"] == disruptions


def draining(node: str) -> list[str]:
    """Kubectl's arguments. Pods of other tests that are still going are not waited for."""
    return ["drain", node, f"--pod-selector=app={NAME}", f"--timeout={DRAINED_WITHIN_S}s"]


def evict(api: Api, workloads: Workloads, name: str) -> None:
    path = f"/api/v1/namespaces/{workloads.pods.namespace}/pods/{name}/eviction"
    api.create(path, {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}})


def where(workloads: Workloads) -> list[str]:
    """The Node of each pod that is available."""
    return [each["spec"]["nodeName"] for each in workloads.pods.all() if is_available(each)]
