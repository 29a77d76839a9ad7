"""What `wasmlet up` accepts, and the one line that it says about the rest."""

import argparse
from pathlib import Path

import pytest

from wasmlet.__main__ import main
from wasmlet.errors import UsageError
from wasmlet.roles import roles
from wasmlet.up.arguments import UpOptions, add_arguments, options_of


def options(*arguments: str) -> UpOptions:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return options_of(parser.parse_args(arguments))


def test_several_nodes_are_numbered_and_one_keeps_its_name(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.touch()
    of = ("--kubeconfig", str(kubeconfig), "--node-name", "edge.a")
    assert options(*of).nodes == ("edge.a",)
    assert options(*of, "--nodes", "2").nodes == ("edge.a-1", "edge.a-2")


def test_options_are_checked_and_kept(tmp_path: Path) -> None:
    chosen = options(
        "--manifests",
        str(tmp_path),
        "--until-complete",
        "--node-label",
        "pool=a",
        "--no-taints",
        "--insecure-registry",
        "127.0.0.1:5000",
        "--set",
        "wasm-executor:beat_interval_s=1",
    )
    assert chosen.manifests == tmp_path
    assert (chosen.node_labels, chosen.taints) == (("pool=a",), False)
    assert chosen.insecure_registries == ("127.0.0.1:5000",)
    one = ("wasm-executor", "WASMLET_BEAT_INTERVAL_S", "1")
    assert chosen.settings == (one,)
    whole = options(
        "--manifests", str(tmp_path), "--set", "wasm-executor:WASMLET_BEAT_INTERVAL_S=1"
    )
    assert whole.settings == (one,)


def test_a_folder_goes_with_a_cluster_and_is_run_on_each_node(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.touch()
    chosen = options("--kubeconfig", str(kubeconfig), "--manifests", str(tmp_path), "--nodes", "2")
    assert (chosen.kubeconfig, chosen.manifests, len(chosen.nodes)) == (kubeconfig, tmp_path, 2)
    assert not chosen.is_static


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "give --kubeconfig FILE (join a cluster), --manifests DIR, or both"),
        (("--kubeconfig", "/nowhere"), "--kubeconfig: there is no file /nowhere"),
        (("--manifests", "/nowhere"), "--manifests: there is no folder /nowhere"),
        (("--manifests", "/", "--nodes", "2"), "without a cluster there is one node"),
        (
            ("--manifests", "/", "--kubeconfig", "/etc/passwd", "--until-complete"),
            "goes with --manifests and without --kubeconfig",
        ),
        (("--kubeconfig", "/etc/passwd", "--until-complete"), "goes with --manifests"),
        (("--manifests", "/", "--node-name", "Bad_Name"), "'Bad_Name' is not a node name"),
        (("--manifests", "/", "--nodes", "0"), "--nodes must be 1 or more"),
        (
            ("--manifests", "/", "--node-label", "nonsense"),
            "--node-label K=V: 'nonsense' is not of that form",
        ),
        (("--manifests", "/", "--insecure-registry", "http://x/"), "--insecure-registry"),
        (("--manifests", "/", "--kubelet-port", "70000"), "70000 is no port"),
        (("--kubeconfig", "/etc/passwd", "--kubelet-port", "65535", "--nodes", "2"), "65536 is no"),
        (("--manifests", "/", "--nats", "nats://x"), "go together"),
        (("--manifests", "/", "--nats", "x", "--nats-passwords", "/no"), "there is no folder /no"),
        (("--manifests", "/", "--set", "x"), "--set SERVICE:NAME=VALUE: got 'x'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(arguments: tuple[str, ...], line: str) -> None:
    with pytest.raises(UsageError) as error:
        options(*arguments)
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_a_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--manifests", "/nowhere"]) == 2
    assert capsys.readouterr().err == "wasmlet: --manifests: there is no folder /nowhere\n"


def test_what_somebody_else_has_written_fills_no_second_line_and_rules_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["up", "--manifests", "/no  where\n  \x1b[2J"]) == 2
    said = capsys.readouterr().err
    assert said == "wasmlet: --manifests: there is no folder /no  where ?[2J\n"


def test_a_setting_of_no_service_is_refused(tmp_path: Path) -> None:
    assert main(["up", "--manifests", str(tmp_path), "--set", "executor:x=1"]) == 2


def bound_in(*namespaces: str) -> set[tuple[str, str]]:
    """Where the right to read what pods name is given: (kind, namespace)."""
    return {
        (each["kind"], each["metadata"].get("namespace", ""))
        for each in roles(namespaces=namespaces)
        if each.get("roleRef", {}).get("name") == "wasmlet-pod-reconciler-objects"
    }


def test_a_confined_reconciler_may_read_objects_in_its_namespaces_alone(tmp_path: Path) -> None:
    chosen = options("--manifests", str(tmp_path), "--set", "pod-reconciler:namespaces=a, b")
    assert chosen.namespaces == ("a", "b")
    assert options("--manifests", str(tmp_path)).namespaces == ()
    assert bound_in(*chosen.namespaces) == {("RoleBinding", "a"), ("RoleBinding", "b")}
    assert bound_in() == {("ClusterRoleBinding", "")}
