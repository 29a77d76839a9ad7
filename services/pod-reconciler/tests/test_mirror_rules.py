"""What a static pod is called in a cluster, and what its mirror lacks, as the kubelet has it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contract.ids import NodeName
from pod_reconciler.domain.manifest import manifest_of
from pod_reconciler.domain.mirror import (
    MirrorDue,
    begun,
    bound_static,
    is_mirror,
    mirror_due,
    mirror_of,
    mirror_write,
)
from pod_reconciler.domain.pod import Json, Pod, decoder
from pod_reconciler.errors import ManifestError

NODE = NodeName("Edge.a")
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
EARLIER = "2026-01-01T00:00:00Z"
LATER = "2026-02-01T00:00:00Z"
TOLERATES_ALL = {"operator": "Exists", "effect": "NoExecute"}


def static_pod(metadata: Json | None = None, **spec: Any) -> Json:
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", **(metadata or {})},
        "spec": {"containers": [{"name": "main", "image": "file:main.wat"}], **spec},
    }
    return bound_static(manifest_of(document, "web.yaml", Path("/manifests")), NODE)


def mirror(pod: Json, **status: Any) -> Pod:
    """The mirror as the API server has it."""
    body = mirror_of(pod, "node-uid")
    body["metadata"] |= {"uid": "m-1", "generation": 1, "resourceVersion": "7"}
    body["status"] = {"phase": "Pending", "qosClass": "BestEffort", **status}
    return decoder.decode(msgspec.json.encode(body))


def condition(status: str, since: str, **more: Any) -> Json:
    return {"type": "Ready", "status": status, "lastTransitionTime": since, **more}


def test_a_static_pod_is_named_after_its_node_and_its_hash_is_its_uid() -> None:
    metadata = static_pod()["metadata"]
    assert metadata["name"] == "web-edge.a"
    assert metadata["annotations"]["kubernetes.io/config.hash"] == metadata["uid"]
    assert metadata["annotations"]["kubernetes.io/config.source"] == "file"
    assert len(metadata["uid"]) == 32
    assert static_pod()["metadata"]["uid"] == metadata["uid"]
    assert static_pod(restartPolicy="Never")["metadata"]["uid"] != metadata["uid"]


def test_a_static_pod_tolerates_every_taint_that_would_end_it_once() -> None:
    own = {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert static_pod()["spec"]["tolerations"] == [TOLERATES_ALL]
    pod = static_pod(tolerations=[TOLERATES_ALL, own])
    assert pod["spec"]["tolerations"] == [own, TOLERATES_ALL]


def test_a_manifest_that_says_it_is_a_mirror_is_none() -> None:
    pod = static_pod({"annotations": {"kubernetes.io/config.mirror": "x", "mine": "y"}})
    assert pod["metadata"]["annotations"]["mine"] == "y"
    assert not is_mirror(decoder.decode(msgspec.json.encode(pod)))


def test_a_mirror_names_the_static_pod_and_belongs_to_its_node() -> None:
    pod = static_pod({"labels": {"app": "web"}}) | {"status": {"phase": "Running"}}
    body = mirror_of(pod, "node-uid")
    uid = pod["metadata"]["uid"]
    assert body["metadata"]["annotations"]["kubernetes.io/config.mirror"] == uid
    assert body["metadata"]["labels"] == {"app": "web"}
    assert body["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Node", "name": NODE, "uid": "node-uid", "controller": True}
    ]
    assert body["spec"]["nodeName"] == NODE
    assert "status" not in body
    assert "uid" not in body["metadata"]


def test_what_is_due_follows_from_the_pod_and_its_mirror() -> None:
    pod = static_pod()
    changed = static_pod(restartPolicy="Never")
    ending = pod | {"metadata": pod["metadata"] | {"deletionTimestamp": LATER}}
    shown = mirror(pod)
    leaving = msgspec.structs.replace(
        shown, metadata=msgspec.structs.replace(shown.metadata, deletion_timestamp=NOW)
    )
    running = pod | {"status": {"phase": "Running"}}
    assert mirror_due(pod, None) is MirrorDue.CREATE
    assert mirror_due(ending, None) is None
    assert mirror_due(None, None) is None
    assert mirror_due(pod, shown) is None
    assert mirror_due(None, shown) is MirrorDue.DELETE
    assert mirror_due(changed, shown) is MirrorDue.DELETE
    assert mirror_due(pod, leaving) is MirrorDue.DELETE
    assert mirror_due(running, shown) is MirrorDue.STATUS


@pytest.mark.parametrize(
    "before", [{"phase": "Failed", "startTime": LATER}, {"phase": "Running", "startTime": EARLIER}]
)
def test_a_pod_that_has_begun_anew_gets_another_mirror(before: Json) -> None:
    pod = static_pod()
    shown = msgspec.structs.replace(mirror(pod), status=before)
    assert mirror_due(pod, shown) is None
    again = pod | {"status": {"phase": "Running", "startTime": LATER}}
    assert mirror_due(again, shown) is MirrorDue.DELETE
    assert mirror_due(pod | {"status": before}, shown) is None


def test_the_status_goes_to_the_mirror_s_uid_and_says_nothing_of_generations_it_has_not() -> None:
    status = {"phase": "Running", "observedGeneration": 2}
    status["conditions"] = [condition("True", LATER, observedGeneration=2)]
    pod = static_pod() | {"status": status}
    write = mirror_write(pod, mirror(pod))
    assert write is not None
    patch = msgspec.json.decode(write.patch)
    assert patch["metadata"]["uid"] == "m-1"
    assert patch["status"]["observedGeneration"] == 1
    assert patch["status"]["conditions"][0]["observedGeneration"] == 1


def test_a_condition_that_did_not_change_keeps_the_time_that_its_mirror_shows() -> None:
    pod = static_pod() | {"status": {"phase": "Running", "conditions": [condition("True", LATER)]}}
    same = mirror(pod, phase="Running", conditions=[condition("True", EARLIER)])
    assert mirror_write(pod, same) is None
    flipped = mirror(pod, phase="Running", conditions=[condition("False", EARLIER)])
    write = mirror_write(pod, flipped)
    assert write is not None
    assert write.status["conditions"][0]["lastTransitionTime"] == LATER


def test_a_static_pod_goes_on_from_what_its_own_mirror_shows() -> None:
    pod = static_pod()
    first = begun(pod, None, NOW)
    assert first["metadata"]["annotations"]["kubernetes.io/config.seen"] == "2026-05-01T12:00:00Z"
    shown = mirror(first, phase="Running", startTime=EARLIER)
    later = begun(pod, shown, datetime(2026, 6, 1, tzinfo=UTC))
    assert later["metadata"] == first["metadata"]
    assert later["status"]["startTime"] == EARLIER
    assert begun(static_pod(restartPolicy="Never"), shown, NOW)["status"] == {}


def test_an_end_that_a_mirror_shows_ends_no_static_pod() -> None:
    pod = begun(static_pod(), None, NOW)
    assert begun(static_pod(), mirror(pod, phase="Failed"), NOW)["status"] == {}


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ({"serviceAccountName": "default"}, "serviceaccounts"),
        ({"imagePullSecrets": [{"name": "s"}]}, "secrets"),
        ({"resourceClaims": [{"name": "gpu"}]}, "resourceclaims"),
        ({"volumes": [{"name": "v", "configMap": {"name": "c"}}]}, "configmaps (via configmap"),
        ({"volumes": [{"name": "v", "secret": {}}]}, "secrets (via secret volumes)"),
        ({"volumes": [{"name": "v", "persistentVolumeClaim": {}}]}, "persistentvolumeclaims"),
        ({"volumes": [{"name": "v", "cephfs": {"secretRef": {"name": "s"}}}]}, "secrets"),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {}}]}}]},
            "serviceaccounts (via projected volumes)",
        ),
    ],
)
def test_a_static_pod_may_not_refer_to_what_is_in_the_api(spec: Json, kind: str) -> None:
    with pytest.raises(ManifestError) as error:
        static_pod(**spec)
    assert f"static pods may not reference {kind}" in str(error.value)


@pytest.mark.parametrize(
    ("container", "kind"),
    [
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]}, "secrets"),
        ({"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {}}}]}, "configmaps"),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, "secrets"),
        ({"envFrom": [{"configMapRef": {"name": "c"}}]}, "configmaps"),
    ],
)
def test_nor_may_its_containers(container: Json, kind: str) -> None:
    with pytest.raises(ManifestError) as error:
        static_pod(containers=[{"name": "main", "image": "i", **container}])
    assert f"static pods may not reference {kind}" in str(error.value)


def test_a_static_pod_may_refer_to_itself() -> None:
    source = {"fieldRef": {"fieldPath": "metadata.name"}}
    container = {"name": "main", "image": "i", "env": [{"name": "A", "valueFrom": source}]}
    assert static_pod(containers=[container], volumes=[{"name": "v", "emptyDir": {}}])


def test_a_name_that_gets_too_long_for_its_node_is_refused_as_the_kubelet_refuses_it() -> None:
    longest = "w" * (253 - len("-edge.a"))
    assert len(static_pod({"name": longest})["metadata"]["name"]) == 253
    with pytest.raises(ManifestError, match=r"metadata\.name: .* no more than 253 characters"):
        static_pod({"name": f"{longest}w"})
