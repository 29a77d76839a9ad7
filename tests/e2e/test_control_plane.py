"""The control plane is one of the kind that users have: its rules are in force."""

import json

from e2e.api import Api
from e2e.expectations import eventually
from e2e.pods import Pods, pod

from controlplane import ControlPlane

NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "some-node"}}
SERVICES = ("node-registrar", "pod-reconciler", "log-server")
FORBIDDEN = (
    ("*", "*"),
    ("list", "secrets"),
    ("create", "pods"),
    ("get", "pods", "--subresource=exec"),
)
NEEDED = {"pod-reconciler": {("create", "pods")}}
"""Mirrors of static pods alone: an admission policy refuses all others."""


def test_nodes_can_be_listed_and_the_version_is_stamped(control_plane: ControlPlane) -> None:
    control_plane.kubectl("get", "nodes")
    version = json.loads(control_plane.kubectl("version", "-o", "json").stdout)
    assert version["serverVersion"]["gitVersion"].startswith("v1.36.")
    assert version["clientVersion"]["gitVersion"] == version["serverVersion"]["gitVersion"]


def test_a_node_may_not_write_another_node(control_plane: ControlPlane, api: Api) -> None:
    api.create("/api/v1/nodes", NODE)
    try:
        other = control_plane.user_kubeconfig("system:node:other-node", "system:nodes")
        label = ("label", "node", "some-node", "a=b")
        refused = control_plane.kubectl(*label, check=False, kubeconfig=other)
        assert refused.returncode != 0
        assert "Forbidden" in refused.stderr or "forbidden" in refused.stderr
    finally:
        api.delete("/api/v1/nodes/some-node")


def test_node_restriction_keeps_a_node_from_labelling_itself_freely(
    control_plane: ControlPlane, api: Api
) -> None:
    api.create("/api/v1/nodes", NODE)
    try:
        own = control_plane.user_kubeconfig("system:node:some-node", "system:nodes")
        label = ("label", "node", "some-node", "node-restriction.kubernetes.io/a=b")
        refused = control_plane.kubectl(*label, check=False, kubeconfig=own)
        assert "is not allowed to modify labels" in refused.stderr
    finally:
        api.delete("/api/v1/nodes/some-node")


def test_the_log_servers_token_may_not_list_pods(control_plane: ControlPlane) -> None:
    kubeconfig = control_plane.service_account_kubeconfig("wasmlet-system", "log-server")
    listed = control_plane.kubectl("get", "pods", "-A", check=False, kubeconfig=kubeconfig)
    assert 'User "system:serviceaccount:wasmlet-system:log-server" cannot list' in listed.stderr


def test_the_log_server_may_read_the_client_ca(control_plane: ControlPlane) -> None:
    kubeconfig = control_plane.service_account_kubeconfig("wasmlet-system", "log-server")
    what = ("get", "configmap", "-n", "kube-system", "extension-apiserver-authentication")
    found = control_plane.kubectl(*what, "-o", "json", kubeconfig=kubeconfig)
    data = json.loads(found.stdout)["data"]
    assert data["client-ca-file"] == control_plane.authority.read_text()


def test_no_service_is_an_administrator_or_reads_secrets_in_bulk(
    control_plane: ControlPlane,
) -> None:
    for service in SERVICES:
        user = f"--as=system:serviceaccount:wasmlet-system:{service}"
        for question in set(FORBIDDEN) - NEEDED.get(service, set()):
            answer = control_plane.kubectl("auth", "can-i", *question, "-A", user, check=False)
            assert answer.stdout.strip() == "no", f"{service}: {question}"


def test_the_reconciler_creates_no_pod_that_would_run(control_plane: ControlPlane) -> None:
    own = control_plane.service_account_kubeconfig("wasmlet-system", "pod-reconciler")
    run = ("run", "intruder", "--image=example.org/i:1", "--dry-run=server")
    refused = control_plane.kubectl(*run, check=False, kubeconfig=own)
    assert "creates the mirrors of static pods and no other pods" in refused.stderr
    bound = '--overrides={"spec":{"nodeName":"some-node"}}'
    control_plane.kubectl(
        *run, bound, "--annotations=kubernetes.io/config.mirror=a-hash", kubeconfig=own
    )


def test_the_api_servers_kubelet_client_may_do_what_a_kubelet_asks_about(
    control_plane: ControlPlane,
) -> None:
    client = "--as=kube-apiserver-kubelet-client"
    answer = control_plane.kubectl(
        "auth", "can-i", "get", "nodes", "--subresource=proxy", client, check=False
    )
    assert answer.stdout.strip() == "yes"


def test_the_runtime_class_adds_tolerations_and_a_selector(pods: Pods) -> None:
    created = pods.create(pod("any", "example.com/any:v1"))
    assert created["spec"]["nodeSelector"] == {"kubernetes.io/arch": "wasm32-wasi"}
    effects = {
        each["effect"]
        for each in created["spec"]["tolerations"]
        if each["key"] == "kubernetes.io/arch"
    }
    assert effects == {"NoSchedule", "NoExecute"}


def test_the_scheduler_says_why_a_pod_stays_pending(pods: Pods) -> None:
    pods.create(
        pod("any", "example.com/any:v1")
        | {
            "spec": {
                "nodeSelector": {"no-node": "has-this"},
                "containers": [{"name": "main", "image": "example.com/any:v1"}],
            }
        }
    )
    reasons = eventually(lambda: [reason for reason, _ in pods.events("any")])
    assert reasons == ["FailedScheduling"]
