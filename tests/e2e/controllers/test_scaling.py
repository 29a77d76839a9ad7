"""A ReplicaSet goes to as many pods as two Nodes take, and back to none."""

from e2e.anatomy import Anatomy
from e2e.expectations import eventually
from e2e.history import is_available
from e2e.running_wasmlet import RunningWasmlet
from e2e.workloads import Kind, Workloads, replicated

NAME = "many"
MANY = 200


def test_a_replica_set_scales_to_200_pods_and_back_to_none(
    workloads: Workloads, first_image: str, wasmlet_up: RunningWasmlet
) -> None:
    workloads.create(Kind.REPLICA_SET, NAME, replicated(NAME, first_image, 0))
    workloads.scale(Kind.REPLICA_SET, NAME, MANY)
    eventually(lambda: workloads.status(Kind.REPLICA_SET, NAME).get("readyReplicas") == MANY, 50)
    pods = workloads.pods.all()
    assert len([each for each in pods if is_available(each)]) == MANY
    assert {each["spec"]["nodeName"] for each in pods} == set(wasmlet_up.nodes)
    anatomy = Anatomy(wasmlet_up)
    eventually(lambda: len(anatomy.containers()) == MANY)
    workloads.scale(Kind.REPLICA_SET, NAME, 0)
    eventually(lambda: not workloads.pods.all(), 50)
    eventually(lambda: not anatomy.containers())
