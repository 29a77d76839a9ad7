"""Empty text, as templates leave it where nobody gave a value: as good as absent."""

from collections.abc import Callable
from typing import Any

import pytest

from podspec.empty import without_empty
from podspec.reviewing import Review, review

type Pod = dict[str, Any]
type MakePod = Callable[..., Pod]


@pytest.mark.parametrize(
    "spec",
    [
        {"restartPolicy": ""},
        {"dnsPolicy": ""},
        {"container": {"imagePullPolicy": ""}},
        {"container": {"terminationMessagePolicy": ""}},
        {"container": {"readinessProbe": {"httpGet": {"port": 80, "scheme": ""}}}},
        {"container": {"volumeMounts": [{"name": "v", "mountPath": "/v", "mountPropagation": ""}]}},
        {"container": {"ports": [{"name": "http", "hostIP": "", "hostPort": 0}]}},
        {"container": {"securityContext": {"seccompProfile": {"type": ""}}}},
        {"securityContext": {"appArmorProfile": {"localhostProfile": ""}}},
    ],
    ids=str,
)
def test_it_is_neither_refused_nor_told(make_pod: MakePod, spec: dict[str, Any]) -> None:
    assert review(make_pod(**spec)) == Review()


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
