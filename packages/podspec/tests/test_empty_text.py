"""Empty text, as templates leave it where nobody gave a value: as good as absent."""

from collections.abc import Callable
from typing import Any

import pytest

from podspec.empty import without_empty
from podspec.reviewing import Review, review

type Pod = dict[str, Any]
type MakePod = Callable[..., Pod]

NAME = {"fieldPath": "metadata.name"}


@pytest.mark.parametrize(
    "spec",
    [
        {"restartPolicy": ""},
        {"dnsPolicy": ""},
        {"container": {"imagePullPolicy": ""}},
        {"container": {"terminationMessagePolicy": ""}},
        {"container": {"readinessProbe": {"httpGet": {"port": 80, "scheme": ""}}}},
        {"container": {"ports": [{"name": "http", "hostIP": "", "hostPort": 0}]}},
        {
            "container": {
                "env": [{"name": "A", "valueFrom": {"fieldRef": NAME | {"apiVersion": ""}}}]
            }
        },
        {"volumes": [{"name": "v", "image": {"reference": "i", "pullPolicy": ""}}]},
    ],
    ids=str,
)
def test_it_is_neither_refused_nor_told(make_pod: MakePod, spec: dict[str, Any]) -> None:
    assert review(make_pod(**spec)) == Review()


@pytest.mark.parametrize(
    "container",
    [
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": ""}}}]},
        {"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": ""}}}]},
        {"restartPolicy": ""},
        {"restartPolicyRules": [{"action": "", "exitCodes": {"operator": "In", "values": [1]}}]},
        {"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": ""}}]},
        {"securityContext": {"privileged": ""}},
        {"volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": ""}]},
    ],
    ids=str,
)
def test_where_an_api_server_refuses_it_so_do_we(
    make_pod: MakePod, container: dict[str, Any]
) -> None:
    assert len(review(make_pod(container=container)).refused) == 1


def test_where_it_has_a_meaning_it_stays(make_pod: MakePod) -> None:
    container = {"args": ["", "a"], "env": [{"name": "A", "value": ""}]}
    pod = make_pod(nodeSelector={"pool": ""}, restartPolicy="", container=container)
    pod["metadata"]["labels"] = {"a": ""}
    kept = without_empty(pod)
    assert "restartPolicy" in pod["spec"], "nothing is changed in place"
    assert kept["metadata"] == pod["metadata"]
    assert kept["spec"] == {k: v for k, v in pod["spec"].items() if k != "restartPolicy"}


def test_an_annotation_of_our_own_is_read_as_it_is_written(make_pod: MakePod) -> None:
    pod = make_pod()
    pod["metadata"]["annotations"] = {"wasmlet.dev/drain": ""}
    (finding,) = review(pod).refused
    assert finding.reason == "'' is not one of none, stdin-eof, file"
