"""Volumes and mounts of a plan: files by digest, modes, and what a kubelet says where one lacks."""

from typing import Any

import pytest
from reconciler_samples import pod_json, pod_of
from reconciler_volumes import AROUND_MATERIAL, VAULT, files, volume_plan, with_volume

from contract.messages.volume import (
    EmptyDir,
    Files,
    HostPath,
    ImageVolume,
    VolumeFile,
    VolumePlan,
)
from pod_reconciler.domain.material import (
    TokenKey,
)
from pod_reconciler.domain.needs import needs_of
from pod_reconciler.domain.planning import planned
from pod_reconciler.domain.quoting import quoted
from pod_reconciler.errors import PlanError


def test_every_key_is_a_file_of_the_default_mode() -> None:
    assert files({"configMap": {"name": "c", "defaultMode": 0o400}}) == {
        "a.txt": (b"A", 0o400),
        "b.txt": (b"BB", 0o400),
        "raw": (b"\xff\x00", 0o400),
    }
    assert files({"secret": {"secretName": "s"}}) == {"key": (b"t0p", 0o644)}


def test_items_choose_keys_paths_and_modes() -> None:
    items = [{"key": "raw", "path": "x/y", "mode": 0o600}, {"key": "a.txt", "path": "./z"}]
    assert files({"configMap": {"name": "c", "items": items}}) == {
        "x/y": (b"\xff\x00", 0o600),
        "z": (b"A", 0o644),
    }


def test_what_is_optional_and_absent_leaves_an_empty_volume() -> None:
    for source in (
        {"configMap": {"name": "gone", "optional": True}},
        {"secret": {"secretName": "gone", "optional": True}},
        {"secret": {"secretName": "s", "optional": True, "items": [{"key": "k", "path": "p"}]}},
    ):
        assert files(source) == {}


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ({"configMap": {"name": "gone"}}, 'configmap "gone" not found'),
        ({"secret": {"secretName": "gone"}}, 'secret "gone" not found'),
        (
            {"configMap": {"name": "c", "items": [{"key": "k", "path": "p"}]}},
            "configmap references non-existent config key: k",
        ),
        (
            {"secret": {"secretName": "s", "items": [{"key": "k", "path": "p"}]}},
            "references non-existent secret key: k",
        ),
        (
            {
                "projected": {
                    "sources": [
                        {"configMap": {"name": "gone"}},
                        {"secret": {"name": "gone"}},
                        {"secret": {"name": "gone"}},
                        {"configMap": {"name": "c"}},
                    ]
                }
            },
            '[configmap "gone" not found, secret "gone" not found]',
        ),
        (
            {"projected": {"sources": [{"serviceAccountToken": VAULT}]}},
            "no",
        ),
        (
            {"persistentVolumeClaim": {"claimName": "lost"}},
            "error processing PVC default/lost: PVC is not bound",
        ),
    ],
)
def test_what_lacks_is_told_in_the_kubelets_words(source: dict[str, Any], missing: str) -> None:
    assert volume_plan(source) == VolumePlan(name="v", missing=missing)


def test_the_automatic_volume_has_token_certificate_and_namespace() -> None:
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "c", "items": [{"key": "a.txt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [
                    {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}},
                ]
            }
        },
    ]
    assert files({"projected": {"defaultMode": 420, "sources": sources}}) == {
        "ca.crt": (b"A", 420),
        "namespace": (b"default", 420),
        "token": (b"the.token", 420),
    }


def test_a_later_source_wins() -> None:
    item = {"path": "same"}
    sources = [
        {"secret": {"name": "s", "items": [item | {"key": "key"}]}},
        {"configMap": {"name": "c", "items": [item | {"key": "a.txt"}]}},
    ]
    assert files({"projected": {"sources": sources}}) == {"same": (b"A", 0o644)}


@pytest.mark.parametrize(
    ("item", "content"),
    [
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "pod-u-1"),
        ({"fieldRef": {"fieldPath": "metadata.uid"}}, "u-1"),
        ({"fieldRef": {"fieldPath": "metadata.labels"}}, 'a="say \\"1\\"\\n"\nb="2"'),
        ({"fieldRef": {"fieldPath": "metadata.labels['b']"}}, "2"),
        ({"fieldRef": {"fieldPath": "metadata.annotations"}}, 'n="ü\\u200b"'),
        ({"resourceFieldRef": {"containerName": "main", "resource": "limits.cpu"}}, "2"),
    ],
)
def test_a_downward_file_says_what_the_pod_is(item: dict[str, Any], content: str) -> None:
    source = {"downwardAPI": {"items": [{"path": "f", "mode": 0o444, **item}]}}
    assert files(source) == {"f": (content.encode(), 0o444)}


def test_a_string_is_quoted_as_go_quotes_it() -> None:
    assert quoted("a\x00\x7f\t'\\") == '"a\\x00\\x7f\\t\'\\\\"'
    assert quoted("é\u00a0\U0001f600\ue000\U000e0001") == '"é\\u00a0😀\\ue000\\U000e0001"'


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "."])
def test_a_path_that_leads_out_of_its_volume_is_refused(path: str) -> None:
    items = [{"path": path, "fieldRef": {"fieldPath": "metadata.name"}}]
    with pytest.raises(PlanError, match="is no path of a file in a volume"):
        with_volume({"downwardAPI": {"items": items}})


@pytest.mark.parametrize(
    ("source", "planned_source"),
    [
        ({"emptyDir": {}}, EmptyDir()),
        ({}, EmptyDir()),
        (
            {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            EmptyDir(memory=True, size_limit_bytes=2**20),
        ),
        ({"emptyDir": {"sizeLimit": "0"}}, EmptyDir()),
        (
            {"hostPath": {"path": "/d", "type": "Directory"}},
            HostPath(path="/d", path_type="Directory"),
        ),
        (
            {"persistentVolumeClaim": {"claimName": "disk"}},
            HostPath(path="/mnt/disk", path_type="Directory", claim="disk"),
        ),
        (
            {"image": {"reference": "r/i:1", "pullPolicy": "IfNotPresent"}},
            ImageVolume(image="r/i:1"),
        ),
    ],
)
def test_a_folder_is_planned_as_it_is_asked_for(
    source: dict[str, Any], planned_source: object
) -> None:
    assert volume_plan(source).source == planned_source


def test_a_volume_that_nobody_mounts_is_neither_made_nor_read_for() -> None:
    volumes = [
        {"name": "unused", "secret": {"secretName": "s"}},
        {"name": "used", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        {"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}},
    ]
    init = {"name": "i", "volumeMounts": [{"name": "used", "mountPath": "/t"}]}
    pod = pod_of(pod_json(volumes=volumes, initContainers=[init]))
    assert [each.name for each in planned(pod, AROUND_MATERIAL).plan.volumes] == ["used"]
    needs = needs_of(pod)
    assert needs.objects == frozenset()
    assert needs.tokens == {TokenKey("", 3600)}
    assert needs.claims == frozenset()


def test_planning_twice_gives_the_same_files_in_the_same_order() -> None:
    source = {"configMap": {"name": "c"}}
    assert volume_plan(source) == volume_plan(source)
    plan = volume_plan(source).source
    assert isinstance(plan, Files)
    assert [file.path for file in plan.files] == ["a.txt", "b.txt", "raw"]
    assert isinstance(plan.files[0], VolumeFile)
