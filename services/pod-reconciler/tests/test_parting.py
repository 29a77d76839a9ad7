"""Pods that run and that this reconciler cannot plan: each ends when it shall, with its grace."""

from typing import Any

import msgspec
import pytest
from reconciler_peer import container, running
from reconciler_samples import (
    GRANT,
    NEXT_LIFE,
    acked,
    deleted,
    inventory,
    live_view,
    pod_json,
    report_of,
    see,
    state_of,
)

from contract.messages.pod import ContainerRole, Drain, PodPlan
from pod_reconciler.domain.duties import CommandDue, command_due
from pod_reconciler.domain.lifecycle import PodState
from pod_reconciler.domain.material import Content, Kind, Lack, Material, ObjectKey
from pod_reconciler.domain.planning import TOOLBOX_ANNOTATION
from pod_reconciler.domain.record import PodRecord
from pod_reconciler.domain.tracking import NodeView

DRAIN = "wasmlet.dev/drain"
HOOK = {"preStop": {"httpGet": {"port": 8080, "path": "/bye"}}}
MOUNT = {"name": "scratch", "mountPath": "/scratch"}
LOGIN = b'{"auths": {"registry.example": {"username": "u", "password": "p"}}}'
FAULTS: list[dict[str, Any]] = [
    {"resources": {"limits": {"memory": "much"}}},
    {"terminationMessagePolicy": "Sometimes"},
    {"livenessProbe": {"periodSeconds": 1}},
    {"env": [{"name": "A", "valueFrom": {"somewhereRef": {"name": "b"}}}]},
    {"volumeMounts": [{"name": "nowhere", "mountPath": "/a"}]},
]


def faulty_json(fault: dict[str, Any], **spec: Any) -> dict[str, Any]:
    json = pod_json(**spec)
    main = json["spec"]["containers"][0]
    beside = main | {"name": "beside", "lifecycle": HOOK, "volumeMounts": [MOUNT]}
    json["spec"]["containers"] = [main | fault, beside]
    json["spec"]["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    json["metadata"]["annotations"] = {DRAIN: "stdin-eof"}
    return json


def under_the_next_leader(json: dict[str, Any]) -> tuple[NodeView, PodRecord]:
    """A pod that runs, as whoever leads now finds it."""
    report = report_of("u-1", container(running()), container(running(), "beside"))
    view = live_view(report)
    record = see(view, json)
    view.on_report(report, 0)
    assert record.state is PodState.ADMITTED
    assert record.refusal is None
    assert command_due(view, record) is None
    return view, record


def end_of(view: NodeView, record: PodRecord) -> PodPlan:
    """What its node is told, which ends the pod."""
    assert command_due(view, record) is CommandDue.APPLY
    assert record.plan is not None
    assert record.plan.deletion is not None
    return record.plan


@pytest.mark.parametrize("fault", FAULTS)
def test_a_deletion_reaches_the_node_with_its_grace_and_all_that_can_be_planned(
    fault: dict[str, Any],
) -> None:
    view, record = under_the_next_leader(faulty_json(fault))
    see(view, deleted(faulty_json(fault), grace_s=17))
    plan = end_of(view, record)
    assert plan.deletion is not None
    assert plan.deletion.grace_s == 17
    assert plan.drain is Drain.STDIN_EOF
    assert [(each.name, each.image, each.role) for each in plan.containers] == [
        (name, "registry.example/guest:1", ContainerRole.APP) for name in ("main", "beside")
    ]
    main, beside = plan.containers
    assert main.pre_stop is None
    assert beside.pre_stop is not None
    assert beside.mounts
    assert [each.name for each in plan.volumes] == ["scratch"]

    acked(view, record)
    assert command_due(view, record) is None
    see(view, deleted(faulty_json(fault), version=3, grace_s=2))
    hastened = end_of(view, record).deletion
    assert hastened is not None
    assert hastened.grace_s == 2


def test_what_a_hook_runs_by_is_in_the_plan_that_ends_its_pod() -> None:
    json = faulty_json(FAULTS[0], imagePullSecrets=[{"name": "login"}])
    json["metadata"]["annotations"][TOOLBOX_ANNOTATION] = "registry.example/tools:1"
    view, record = under_the_next_leader(json)
    login = Content(type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": LOGIN})
    objects = {ObjectKey(Kind.SECRET, "login"): login}
    view.on_material(record.uid, Material(handler="wagi", objects=objects))
    see(view, deleted(json))
    plan = end_of(view, record)
    assert (plan.runtime_handler, plan.toolbox) == ("wagi", "registry.example/tools:1")
    assert [each.location for each in plan.pull_keys] == ["registry.example"]
    assert plan.naming is not None


def test_what_allows_no_plan_is_told_once() -> None:
    view, record = under_the_next_leader(faulty_json(FAULTS[0]))
    (told,) = record.untold_faults
    assert told.startswith("spec.containers[0].resources.limits.memory: ")
    record.untold_faults = ()
    see(view, deleted(faulty_json(FAULTS[0])))
    assert record.untold_faults == ()


def test_without_its_volumes_a_pod_ends_by_its_names() -> None:
    fault = {"volumeMounts": [{"name": "large", "mountPath": "/large"}]}
    large = {"name": "large", "emptyDir": {"sizeLimit": "much"}}
    json = faulty_json(fault)
    json["spec"]["volumes"].append(large)
    view, record = under_the_next_leader(json)
    view.on_material(record.uid, Material(handler="wagi"))
    see(view, deleted(json))
    plan = end_of(view, record)
    assert plan.runtime_handler == "wagi", "it says how a guest is asked to end"
    assert plan.volumes == ()
    assert [each.mounts for each in plan.containers] == [(), ()]


def test_a_pod_that_ended_in_the_api_is_stopped_by_the_next_leader() -> None:
    json = faulty_json(FAULTS[0])
    view, record = under_the_next_leader(json)
    metadata = json["metadata"] | {"resourceVersion": "2"}
    see(view, json | {"metadata": metadata, "status": {"phase": "Failed"}})
    assert state_of(record) is PodState.ENDED
    assert end_of(view, record).termination_grace_s == 30


def test_a_pod_that_nobody_can_understand_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    for place in ("annotating.planned", "parting.volumes_of"):
        monkeypatch.setattr(f"pod_reconciler.domain.{place}", broken)
    view, record = under_the_next_leader(pod_json())
    see(view, deleted(pod_json()))
    assert [each.name for each in end_of(view, record).containers] == ["main"]


def test_ephemeral_containers_that_were_withheld_are_not_named() -> None:
    added = [
        {"name": name, "image": "registry.example/guest:1", "terminationMessagePolicy": policy}
        for name, policy in (("withheld", "Sometimes"), ("there", "File"))
    ]
    json = faulty_json(FAULTS[0], ephemeralContainers=added)
    report = report_of("u-1", *(container(running(), name) for name in ("main", "beside", "there")))
    view = live_view(report)
    record = see(view, json)
    view.on_report(report, 0)
    see(view, deleted(json))
    names = [each.name for each in end_of(view, record).containers]
    assert names == ["main", "beside", "there"]


def test_a_pod_that_its_node_has_lost_is_over_without_a_plan() -> None:
    json = faulty_json(FAULTS[0])
    view, record = under_the_next_leader(json)
    see(view, deleted(json))
    end_of(view, record)
    view.on_granted(msgspec.structs.replace(GRANT, holder=NEXT_LIFE))
    view.on_inventory(inventory(life=NEXT_LIFE))
    assert state_of(record) is PodState.STOPPED


def test_a_pod_that_its_node_has_lost_says_that_nobody_tells_its_class() -> None:
    refused = Lack(problem='failed to lookup RuntimeClass "w": 403')
    view, json = live_view(), pod_json(runtimeClassName="w")
    json["status"] = {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}
    record = see(view, json, handler=refused)
    assert state_of(record) is PodState.ADMITTED
    assert record.awaited == f"Failed to create pod sandbox: {refused.problem}"
    assert record.has_untold_wait
    view.on_material(record.uid, Material(handler="wasi"))
    assert record.awaited == ""
    assert command_due(view, record) is CommandDue.APPLY


def test_a_pod_that_its_node_has_awaits_no_class() -> None:
    view = live_view(report_of("u-1", container(running())))
    record = see(view, pod_json(runtimeClassName="w"), handler=Lack(problem="403"))
    assert record.plan is None
    assert record.awaited == ""
