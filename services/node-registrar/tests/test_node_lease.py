"""The Lease object: what it says, and what it keeps of others' fields."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from contract.ids import NodeName
from node_registrar.domain.lease import new_lease, renewed

NAME = NodeName("n")
NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


def test_a_new_lease_is_the_kubelets() -> None:
    assert new_lease(NAME, "u-1", 40, NOW) == {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": "n",
            "namespace": "kube-node-lease",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u-1"}],
        },
        "spec": {
            "holderIdentity": "n",
            "leaseDurationSeconds": 40,
            "renewTime": "2026-01-02T03:04:05.000678Z",
        },
    }


def test_a_renewal_keeps_what_it_does_not_know_and_names_the_present_node() -> None:
    copy: dict[str, Any] = {
        "metadata": {
            "name": "n",
            "resourceVersion": "5",
            "labels": {"a": "b"},
            "ownerReferences": [{"uid": "gone"}],
        },
        "spec": {"holderIdentity": "n", "preferredHolder": "x", "renewTime": "old"},
    }
    lease = renewed(copy, NAME, "u-2", 40, NOW)
    assert lease["metadata"]["resourceVersion"] == "5"
    assert lease["metadata"]["labels"] == {"a": "b"}
    assert [owner["uid"] for owner in lease["metadata"]["ownerReferences"]] == ["u-2"]
    assert lease["spec"]["preferredHolder"] == "x"
    assert copy["spec"]["renewTime"] == "old"


@pytest.mark.parametrize("step_h", [1, -1])
def test_each_renewal_is_later_than_the_last_whatever_the_clock_does(step_h: int) -> None:
    """Of a time that does not grow, the node controller takes no notice, and loses the Node."""
    lease, now, times = new_lease(NAME, "u-1", 40, NOW), NOW, []
    for turn in range(8):
        now += timedelta(seconds=10)
        if turn in (3, 6):  # it steps, and is put right again
            now += timedelta(hours=step_h if turn == 3 else -step_h)
        lease = renewed(lease, NAME, "u-1", 40, now)
        times.append(datetime.fromisoformat(lease["spec"]["renewTime"]))
    assert all(one < following for one, following in pairwise(times))
    first = NOW + timedelta(seconds=10)
    assert times[0] == first, "a clock that nobody has set is shown as it is"
