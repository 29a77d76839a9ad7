"""Views of a pod: the few fields that decide, read straight from the API server's JSON.

A typed model costs 0.7 ms a pod and drops what it does not know. These structs read what planning
and rendering need; the status stays plain JSON, because it is compared with what we would write.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from contract.messages.pod import ContainerRole, RestartPolicy
from pod_reconciler.domain.container import Container
from pod_reconciler.domain.nameview import HostAliasView, PodDnsConfig
from pod_reconciler.domain.view import View
from pod_reconciler.domain.volume import Volume

type Json = dict[str, Any]

DEFAULT_GRACE_S: Final = 30.0


class Metadata(View, frozen=True, kw_only=True, rename="camel"):
    """Who the pod is, in which version, and whether its deletion was asked for."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)
    creation_timestamp: str | None = None
    """As the API writes it: such times sort as text."""
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: float | None = None


class PlacedContainer(NamedTuple):
    """A container, what it is in its pod, and where it stands in the spec."""

    container: Container
    role: ContainerRole
    path: str


class ReadinessGate(View, frozen=True, kw_only=True, rename="camel"):
    """`spec.readinessGates[]`."""

    condition_type: str


class ObjectName(View, frozen=True, kw_only=True):
    """An object in the pod's namespace; the API server takes an empty name, too."""

    name: str = ""


class Spec(View, frozen=True, kw_only=True, rename="camel"):
    """`spec`."""

    init_containers: tuple[Container, ...] = ()
    containers: tuple[Container, ...] = ()
    ephemeral_containers: tuple[Container, ...] = ()
    node_name: str = ""
    service_account_name: str = ""
    hostname: str = ""
    hostname_override: str | None = None
    subdomain: str = ""
    set_hostname_as_fqdn: bool | None = msgspec.field(default=None, name="setHostnameAsFQDN")
    host_network: bool = False
    host_aliases: tuple[HostAliasView, ...] = ()
    dns_policy: str = "ClusterFirst"
    dns_config: PodDnsConfig | None = None
    enable_service_links: bool = True
    restart_policy: RestartPolicy = RestartPolicy.ALWAYS
    termination_grace_period_seconds: float = DEFAULT_GRACE_S
    active_deadline_seconds: float | None = None
    readiness_gates: tuple[ReadinessGate, ...] = ()
    runtime_class_name: str = ""
    volumes: tuple[Volume, ...] = ()
    image_pull_secrets: tuple[ObjectName, ...] = ()

    def mounted_volumes(self) -> frozenset[str]:
        """The names of the volumes that some container mounts."""
        return frozenset(
            mount.name for placed in self.placed() for mount in placed.container.volume_mounts
        )

    def placed(self) -> Iterator[PlacedContainer]:
        """Every container with its role and its path: init, app, ephemeral ones, as they start."""
        for index, container in enumerate(self.init_containers):
            role = ContainerRole.SIDECAR if container.is_sidecar else ContainerRole.INIT
            yield PlacedContainer(container, role, f"spec.initContainers[{index}]")
        for index, container in enumerate(self.containers):
            yield PlacedContainer(container, ContainerRole.APP, f"spec.containers[{index}]")
        for index, container in enumerate(self.ephemeral_containers):
            path = f"spec.ephemeralContainers[{index}]"
            yield PlacedContainer(container, ContainerRole.EPHEMERAL, path)


class Pod(View, frozen=True, kw_only=True, rename="camel"):
    """One version of a pod."""

    metadata: Metadata
    spec: Spec
    status: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def phase(self) -> str:
        return str(self.status.get("phase") or "")

    @property
    def is_terminal(self) -> bool:
        """Whether the API shows that it has ended, which no later status may take back."""
        return self.phase in TERMINAL_PHASES

    @property
    def was_started(self) -> bool:
        """Whether its status shows that some kubelet took it on: then it is not admitted again."""
        return bool(self.status.get("startTime") or self.status.get("containerStatuses"))

    def statuses_before(self) -> dict[str, Json]:
        """What the API shows of each container, of whichever kind: their names are unique."""
        return {
            status["name"]: status
            for field in STATUS_FIELDS
            for status in self.status.get(field) or ()
        }

    def plan_basis(self) -> tuple[object, ...]:
        """What a plan is made of, cheap to compare: a new generation stands for a new spec."""
        metadata = self.metadata
        return (
            metadata.generation or self.spec,
            metadata.deletion_timestamp,
            metadata.deletion_grace_period_seconds,
            metadata.labels,
            metadata.annotations,
        )


STATUS_FIELDS: Final = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
TERMINAL_PHASES: Final = frozenset({"Succeeded", "Failed"})

decoder: Final = msgspec.json.Decoder(Pod)


def pod_from_json(data: bytes | msgspec.Raw) -> Pod:
    """Read a pod; raises `msgspec.DecodeError` where the bytes are none."""
    return decoder.decode(data)


def version_of(pod: Pod) -> int:
    """The resourceVersion as a number; 0 where the server's are no numbers.

    Numbers may be compared (the API server guarantees it since 1.35): that tells whether the watch
    has seen our own last write yet.
    """
    version = pod.metadata.resource_version
    return int(version) if version.isdecimal() else 0


def is_known(known: Pod | None, pod: Pod) -> bool:
    """Whether this version, or a newer one, has been taken in: the echo of an own write."""
    return known is not None and 0 < version_of(pod) <= version_of(known)
