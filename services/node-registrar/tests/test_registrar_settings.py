"""Settings: what is refused, and the line that says so."""

import pytest

from node_registrar.settings import RegistrarSettings, Taint, labels_of, taints_of
from servicekit.errors import SettingsError
from servicekit.settings import read_settings


def read(**given: str) -> RegistrarSettings:
    environ = {f"WASMLET_{name.upper()}": value for name, value in given.items()}
    return read_settings(RegistrarSettings, environ)


def test_the_defaults_are_those_of_a_wasm_node() -> None:
    settings = read()
    assert labels_of(settings) == {
        "kubernetes.io/os": "wasi",
        "kubernetes.io/arch": "wasm32-wasi",
        "beta.kubernetes.io/os": "wasi",
        "beta.kubernetes.io/arch": "wasm32-wasi",
        "node.kubernetes.io/exclude-from-external-load-balancers": "",
    }
    assert taints_of(settings) == (
        Taint(key="kubernetes.io/arch", value="wasm32-wasi", effect="NoSchedule"),
        Taint(key="kubernetes.io/arch", value="wasm32-wasi", effect="NoExecute"),
    )


@pytest.mark.parametrize("taints", ["", "none"])
def test_a_node_may_be_untainted(taints: str) -> None:
    assert taints_of(read(taints=taints)) == ()


def test_a_taint_needs_no_value() -> None:
    assert taints_of(read(taints="only:NoSchedule")) == (Taint(key="only", effect="NoSchedule"),)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"taints": "a=b"}, "WASMLET_TAINTS: 'a=b' does not end in :NoSchedule"),
        ({"taints": "a=b:Never"}, "WASMLET_TAINTS: 'a=b:Never' does not end in"),
        ({"taints": "=b:NoSchedule"}, "WASMLET_TAINTS: '' is not a taint key"),
        ({"taints": "a=b c:NoSchedule"}, "WASMLET_TAINTS: 'b c' is not a taint value"),
        ({"node_labels": "=x"}, "WASMLET_NODE_LABELS: '' is not a label key"),
        ({"node_labels": "a/b/c=x"}, "WASMLET_NODE_LABELS: 'a/b/c' is not a label key"),
        ({"node_labels": "a=" + "x" * 64}, "is not a label value"),
        ({"node_labels": "kubernetes.io/hostname=x"}, "is the Node's name"),
        ({"node_arch": "wasm 32"}, "WASMLET_NODE_ARCH: 'wasm 32' is not a label value"),
        ({"kubernetes_version": "1.36"}, "WASMLET_KUBERNETES_VERSION: '1.36' is not a version"),
        ({"lease_renew_s": "40"}, "WASMLET_LEASE_RENEW_S must be less than WASMLET_LEASE_S"),
        ({"election": "on"}, "WASMLET_ELECTION needs WASMLET_KUBECONFIG"),
        ({"election": "maybe", "kubeconfig": "x"}, "WASMLET_ELECTION: "),
        ({"lease_s": "0"}, "WASMLET_LEASE_S: "),
        ({"max_pods": "-1"}, "WASMLET_MAX_PODS: "),
    ],
)
def test_a_wrong_setting_is_one_clear_line(given: dict[str, str], line: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(**given)
    assert line in str(refusal.value)
    assert "\n" not in str(refusal.value)
