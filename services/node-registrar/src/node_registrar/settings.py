"""What the registrar is told: the cluster, what its Nodes look like, and the measures of time.

Names, labels and taints come from here and never from an executor. A label or taint that the API
server would refuse is refused at the start, with the variable's name in the one line that says so.
"""

import re
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from servicekit.settings import PREFIX, Seconds, ServiceSettings

IN_CLUSTER: Final = "in-cluster"
NO_TAINTS: Final = "none"

LABEL_HOSTNAME: Final = "kubernetes.io/hostname"
LABEL_OS: Final = "kubernetes.io/os"
LABEL_ARCH: Final = "kubernetes.io/arch"
LABEL_NO_BALANCER: Final = "node.kubernetes.io/exclude-from-external-load-balancers"

_NAME: Final = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
_KEY: Final = re.compile(rf"({_DOMAIN}/)?{_NAME}")
_VALUE: Final = re.compile(rf"({_NAME})?")
_NAMESPACED: Final = re.compile(rf"[a-z0-9]([-a-z0-9]{{0,61}}[a-z0-9])?/{_DOMAIN}")
_VERSION: Final = re.compile(r"v(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}")
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")

Whole = Annotated[int, msgspec.Meta(ge=0)]
LeaseSeconds = Annotated[int, msgspec.Meta(gt=0)]


class Taint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One taint of a Node, as the API writes it."""

    key: str
    effect: str
    value: str = ""


class RegistrarSettings(ServiceSettings, frozen=True, kw_only=True):
    """Settings of the node-registrar."""

    kubeconfig: str = ""
    """A kubeconfig's path, `in-cluster` for the pod's service account, empty for static mode."""
    node_names: tuple[str, ...] = ()
    """The Nodes of this registrar; empty: every node whose executor the bus lets in."""
    node_labels: tuple[str, ...] = ()
    """More labels, `K=V,...`; they win over the defaults."""
    node_os: str = "wasi"
    """Label `kubernetes.io/os`; `nodeInfo` says the same."""
    node_arch: str = "wasm32-wasi"
    """Label `kubernetes.io/arch`; `nodeInfo` says the same."""
    exclude_from_load_balancers: bool = True
    """Label the Node so that cloud load balancers leave it out."""
    taints: tuple[str, ...] = (
        "kubernetes.io/arch=wasm32-wasi:NoSchedule",
        "kubernetes.io/arch=wasm32-wasi:NoExecute",
    )
    """`K[=V]:Effect,...`; `none` or nothing for an untainted Node."""
    host_prefix: str = ""
    """A Node of this prefix stands beside the machine's own Node, named by the rest: it is owned by
    it, cordoned with it, and never created without it. Empty: Nodes stand alone."""
    host_leaving_taints: tuple[str, ...] = (
        "ToBeDeletedByClusterAutoscaler",
        "karpenter.sh/disrupted",
    )
    """A host with a taint of such a key is about to go: its Wasm Node is drained by a taint of
    effect NoExecute. With `node.kubernetes.io/unschedulable` a cordon is enough; `none`: never."""
    address_type: Literal["InternalIP", "ExternalIP"] = "InternalIP"
    """As what a Node shows the address of its kubelet port. kindnet takes an InternalIP for a
    machine that it may route by, and ends where it cannot: `ExternalIP` there."""
    hold_hosts: bool = True
    """While a Wasm Node has pods, its host is annotated so that autoscalers leave it alone."""
    installation: str = ""
    """`NAMESPACE/NAME` of a ConfigMap: while it is annotated `wasmlet.dev/leaving`, no Node is
    created. Empty: none is asked for."""
    kubernetes_version: str = "v1.36.3"
    """The kubelet whose contract is kept; the Node shows it before our own version."""
    max_cpu_millis: Whole = 0
    """No Node announces more than this; 0: what the executor says."""
    max_memory_bytes: Whole = 0
    max_ephemeral_storage_bytes: Whole = 0
    max_pods: Whole = 0

    lease_s: LeaseSeconds = 40
    """For how long a renewed Lease holds; another id waits as long for a silent holder's name."""
    lease_renew_s: Seconds = 10.0
    """How often the Lease is renewed."""
    beat_fresh_s: Seconds = 15.0
    """A beat younger than this proves that the executor lives."""
    silence_window_s: Seconds = 60.0
    """When more than a third of a pool of three or more falls silent within this time, it is taken
    for a fault of the bus."""
    silence_tolerance_s: Annotated[float, msgspec.Meta(ge=0)] = 600.0
    """For how long their Leases are then renewed all the same; 0: never."""
    status_interval_s: Seconds = 10.0
    """How often the status is compared; changes are written at once."""
    status_report_s: Seconds = 300.0
    """Without any change, a status is written this often."""
    announce_fresh_s: Seconds = 15.0
    """While a log-server announced itself this recently, another address is not believed."""
    grants_interval_s: Seconds = 5.0
    """How often grants are published again."""
    healthz_timeout_s: Seconds = 2.0
    """For one `/healthz` of a log-server."""
    request_timeout_s: Seconds = 5.0
    """For one request to the API server."""
    contact_s: Seconds = 15.0
    """Not ready when the API server has not answered for this long."""

    bus_issuer_file: Path | None = None
    """The seed of the account key (`SA...`) that nats-server's `auth_callout` names as issuer: the
    registrar then says who is let onto the bus. Without it, NATS' own passwords do."""
    bus_service_account: str = ""
    """`NAMESPACE:NAME` of the pods that speak for the node of their machine, named by
    `WASMLET_HOST_PREFIX` and its name: their tokens let them in, and they ask for its certificate.
    Empty: no pods."""
    enrolment_dir: Path | None = None
    """A file per bus user of a machine outside the cluster, with its credential's SHA-256."""
    approve_certificates: bool = False
    """Approve the requests of our Nodes' log-servers for serving certificates; see
    `WASMLET_CERTIFICATE_MODE` there."""
    bus_login_s: Annotated[float, msgspec.Meta(ge=0)] = 86400.0
    """For how long a login lasts; who connects then shows a credential anew. 0: until it breaks."""

    election: Literal["on", "off"] = "off"
    """`on` where there are several replicas: one leads, by a Lease."""
    election_namespace: str = "wasmlet-system"
    """Where the Lease `node-registrar` of the leader is."""
    election_identity: str = "node-registrar"
    """Shown as the holder; a random part is added."""
    election_lease_s: Seconds = 15.0
    """After this long without a renewal another replica may lead."""
    election_renew_deadline_s: Seconds = 10.0
    """A leader that could not renew for this long stops writing."""
    election_retry_s: Seconds = 2.0
    """How often the leader renews; the others look four times as often."""

    def __post_init__(self) -> None:
        labels_of(self)
        taints_of(self)
        _checked("NODE_OS", _VALUE, self.node_os, "label value")
        _checked("NODE_ARCH", _VALUE, self.node_arch, "label value")
        _checked("KUBERNETES_VERSION", _VERSION, self.kubernetes_version, "version like v1.36.3")
        if self.installation:
            require_installation(self.installation)
        if self.election == "on" and not self.kubeconfig:
            raise ValueError(f"{PREFIX}ELECTION needs {PREFIX}KUBECONFIG")
        if self.lease_renew_s >= self.lease_s:
            raise ValueError(f"{PREFIX}LEASE_RENEW_S must be less than {PREFIX}LEASE_S")


def require_installation(named: str) -> None:
    """Raise `ValueError` unless this may name a ConfigMap of a namespace."""
    _checked("INSTALLATION", _NAMESPACED, named, "NAMESPACE/NAME")


def labels_of(settings: RegistrarSettings) -> dict[str, str]:
    """Return the labels that every Node gets, all but its hostname; raises `ValueError`."""
    labels = {LABEL_OS: settings.node_os, LABEL_ARCH: settings.node_arch}
    if settings.exclude_from_load_balancers:
        labels[LABEL_NO_BALANCER] = ""
    for text in settings.node_labels:
        key, _, value = text.partition("=")
        _checked("NODE_LABELS", _KEY, key, "label key")
        _checked("NODE_LABELS", _VALUE, value, "label value")
        if key == LABEL_HOSTNAME:
            raise ValueError(f"{PREFIX}NODE_LABELS: {LABEL_HOSTNAME} is the Node's name")
        labels[key] = value
    for name in ("os", "arch"):
        labels[f"beta.kubernetes.io/{name}"] = labels[f"kubernetes.io/{name}"]
    return labels


def taints_of(settings: RegistrarSettings) -> tuple[Taint, ...]:
    """Return the taints that a new Node gets; raises `ValueError`."""
    if settings.taints == (NO_TAINTS,):
        return ()
    return tuple(_taint(text) for text in settings.taints)


def _taint(text: str) -> Taint:
    name, colon, effect = text.rpartition(":")
    if not colon or effect not in _EFFECTS:
        raise ValueError(f"{PREFIX}TAINTS: {text!r} does not end in :{', :'.join(_EFFECTS)}")
    key, _, value = name.partition("=")
    _checked("TAINTS", _KEY, key, "taint key")
    _checked("TAINTS", _VALUE, value, "taint value")
    return Taint(key=key, value=value, effect=effect)


def _checked(setting: str, form: re.Pattern[str], value: str, what: str) -> None:
    if not form.fullmatch(value):
        raise ValueError(f"{PREFIX}{setting}: {value!r} is not a {what}")
