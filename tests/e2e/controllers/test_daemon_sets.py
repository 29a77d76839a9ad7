"""What users expect of a DaemonSet: one pod on each Node that its template tolerates.

Its controller looks at the template alone. What the RuntimeClass would add to a pod comes later, so
a DaemonSet for these Nodes has to tolerate their taints itself.
"""

import json
from typing import Any

from e2e.api import Api
from e2e.expectations import eventually
from e2e.history import is_available, uid_of
from e2e.running_wasmlet import RunningWasmlet
from e2e.workloads import Kind, Workloads, template

NAME = "agent"
AGENT = {"hostPID": True, "runtimeClassName": None}
ROLLOUT = ("rollout", "status", f"daemonset/{NAME}", "--timeout=40s")


def test_a_daemon_set_that_tolerates_our_taints_has_one_pod_on_each_node(
    workloads: Workloads, first_image: str, api: Api, wasmlet_up: RunningWasmlet
) -> None:
    create(workloads, first_image, tolerations=tolerations(api, wasmlet_up))
    workloads.kubectl(*ROLLOUT)
    assert sorted(by_node(workloads)) == sorted(wasmlet_up.nodes)
    status = workloads.status(Kind.DAEMON_SET, NAME)
    assert (status["numberReady"], status["numberMisscheduled"]) == (2, 0)


def test_a_deleted_pod_of_a_daemon_set_comes_back_on_its_node(
    workloads: Workloads, first_image: str, api: Api, wasmlet_up: RunningWasmlet
) -> None:
    create(workloads, first_image, tolerations=tolerations(api, wasmlet_up))
    workloads.kubectl(*ROLLOUT)
    before = by_node(workloads)
    victim, other = wasmlet_up.nodes
    workloads.kubectl("delete", "pod", before[victim]["metadata"]["name"])

    def is_back() -> bool:
        pod = by_node(workloads).get(victim)
        return pod is not None and uid_of(pod) != uid_of(before[victim]) and is_available(pod)

    eventually(is_back)
    assert uid_of(by_node(workloads)[other]) == uid_of(before[other])


def test_a_daemon_set_gets_its_new_image_on_each_node(
    workloads: Workloads,
    first_image: str,
    second_image: str,
    api: Api,
    wasmlet_up: RunningWasmlet,
) -> None:
    create(workloads, first_image, tolerations=tolerations(api, wasmlet_up))
    workloads.kubectl(*ROLLOUT)
    history = workloads.history()
    workloads.kubectl("set", "image", f"daemonset/{NAME}", f"main={second_image}")
    workloads.kubectl(*ROLLOUT)
    assert sorted(by_node(workloads)) == sorted(wasmlet_up.nodes)
    workloads.await_shown("second\n")
    assert min(moment.count(is_available) for moment in history.moments()) == 1


def test_a_daemon_set_that_does_not_tolerate_our_taints_stays_off(
    workloads: Workloads, first_image: str
) -> None:
    history = workloads.history()
    create(workloads, first_image, tolerations=[])
    status = workloads.await_observed(Kind.DAEMON_SET, NAME)
    assert status["desiredNumberScheduled"] == 0
    assert history.moments() == []


def test_an_agent_that_tolerates_everything_fails_here_until_it_names_its_os(
    workloads: Workloads, first_image: str, wasmlet_up: RunningWasmlet
) -> None:
    """As log collectors and network agents of Linux machines do: it disturbs nobody else."""
    history = workloads.history()
    create(workloads, first_image, tolerations=[{"operator": "Exists"}], **AGENT)

    def has_failed_on_each() -> bool:
        failed = {
            pod["spec"]["nodeName"]
            for _, pod, _ in history.moments()
            if pod["status"].get("reason") == "PodFeatureUnsupported"
        }
        return failed >= set(wasmlet_up.nodes)

    eventually(has_failed_on_each)
    linux = {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/os": "linux"}}}}}
    workloads.kubectl("patch", "daemonset", NAME, "-p", json.dumps(linux))
    # Its controller deletes failed pods and makes new ones: for a moment there is none at all.
    eventually(
        lambda: (
            workloads.status(Kind.DAEMON_SET, NAME)["desiredNumberScheduled"] == 0
            and not workloads.pods.all()
        )
    )


def create(
    workloads: Workloads, image: str, *, tolerations: list[dict[str, Any]], **fields: Any
) -> None:
    pods = template(NAME, image)
    pods["spec"] |= {"tolerations": tolerations, **fields}
    spec = {"selector": {"matchLabels": {"app": NAME}}, "template": pods}
    workloads.create(Kind.DAEMON_SET, NAME, spec)


def tolerations(api: Api, wasmlet: RunningWasmlet) -> list[dict[str, Any]]:
    """One for each of the Nodes' own taints."""
    taints = api.get(f"/api/v1/nodes/{wasmlet.nodes[0]}")["spec"]["taints"]
    assert taints
    return [{"operator": "Equal", **taint} for taint in taints]


def by_node(workloads: Workloads) -> dict[str, dict[str, Any]]:
    """Node -> its pod; never two."""
    pods = workloads.pods.all()
    found = {each["spec"]["nodeName"]: each for each in pods if each["spec"].get("nodeName")}
    assert len(found) == len(pods)
    return found
