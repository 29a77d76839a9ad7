"""What a node's view keeps of one grant when the next knows less."""

import msgspec
import pytest
from reconciler_samples import GRANT, NEXT_LIFE, acked, live_view, pod_json, see

from contract.messages.form import Incarnation
from pod_reconciler.domain.duties import command_due

ENV = [{"name": "M", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}]
SIZE = {"containerName": "main", "resource": "limits.cpu"}
FILES = {"items": [{"path": "cpu", "resourceFieldRef": SIZE}]}


def asking_pod() -> dict[str, object]:
    json = pod_json()
    (main,) = json["spec"]["containers"]
    main |= {"env": ENV, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    json["spec"]["volumes"] = [{"name": "v", "downwardAPI": FILES}]
    return json


def test_a_registrar_that_has_just_begun_changes_no_plan() -> None:
    view = live_view()
    record = see(view, asking_pod())
    acked(view, record)
    assert record.plan is not None
    assert dict(record.plan.containers[0].env)["M"]
    view.on_granted(msgspec.structs.replace(GRANT, facts=None))
    assert command_due(view, record) is None
    assert dict(record.plan.containers[0].env)["M"]


@pytest.mark.parametrize("holder", [NEXT_LIFE, Incarnation(executor_id="e2", start_count=1)])
def test_another_holder_has_a_machine_of_its_own(holder: Incarnation) -> None:
    view = live_view()
    view.on_granted(msgspec.structs.replace(GRANT, holder=holder, facts=None))
    assert view.grant is not None
    assert view.grant.facts is None
