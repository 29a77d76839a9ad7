"""Views of a container: the fields that decide, read straight from the API server's JSON."""

from typing import Annotated, Any

import msgspec

from contract.messages.pod import RestartPolicy
from contract.messages.pull import PullPolicy
from pod_reconciler.domain.variable import EnvFromSource, EnvVar
from pod_reconciler.domain.view import View
from pod_reconciler.domain.volume import VolumeMount

type Port = int | str
"""A number, or the name of one of the container's ports."""
type NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class ContainerPort(View, frozen=True, kw_only=True, rename="camel"):
    """`ports[]`: a name that probes and hooks may use."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"


class ExecAction(View, frozen=True, kw_only=True, rename="camel"):
    """`exec`."""

    command: tuple[str, ...] = ()


class HttpHeader(View, frozen=True, kw_only=True, rename="camel"):
    """`httpGet.httpHeaders[]`."""

    name: str
    value: str = ""


class HttpGetAction(View, frozen=True, kw_only=True, rename="camel"):
    """`httpGet`."""

    port: Port
    path: str = ""
    host: str = ""
    scheme: str = ""
    http_headers: tuple[HttpHeader, ...] = ()


class TcpSocketAction(View, frozen=True, kw_only=True, rename="camel"):
    """`tcpSocket`."""

    port: Port
    host: str = ""


class GrpcAction(View, frozen=True, kw_only=True, rename="camel"):
    """`grpc`."""

    port: int
    service: str = ""


class SleepAction(View, frozen=True, kw_only=True, rename="camel"):
    """`sleep`."""

    seconds: NotNegative = 0.0


class HookHandler(View, frozen=True, kw_only=True, rename="camel"):
    """`lifecycle.postStart` or `lifecycle.preStop`: one of these."""

    exec: ExecAction | None = None
    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(View, frozen=True, kw_only=True, rename="camel"):
    """`lifecycle`."""

    post_start: HookHandler | None = None
    pre_stop: HookHandler | None = None


class ProbeHandler(View, frozen=True, kw_only=True, rename="camel"):
    """A probe: one of the actions. A number of 0 that makes no sense stands for the default."""

    exec: ExecAction | None = None
    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    grpc: GrpcAction | None = None
    initial_delay_seconds: NotNegative = 0.0
    period_seconds: NotNegative = 0.0
    timeout_seconds: NotNegative = 0.0
    success_threshold: Annotated[int, msgspec.Meta(ge=0)] = 0
    failure_threshold: Annotated[int, msgspec.Meta(ge=0)] = 0
    termination_grace_period_seconds: NotNegative | None = None


class ExitCodes(View, frozen=True, kw_only=True, rename="camel"):
    """`restartPolicyRules[].exitCodes`."""

    operator: str
    values: tuple[int, ...] = ()


class RuleView(View, frozen=True, kw_only=True, rename="camel"):
    """`restartPolicyRules[]`."""

    action: str
    exit_codes: ExitCodes | None = None


class Container(View, frozen=True, kw_only=True, rename="camel"):
    """A container of any list of the spec. `resources` stays JSON, since the status repeats it."""

    name: str
    image: str = ""
    image_pull_policy: PullPolicy | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env_from: tuple[EnvFromSource, ...] = ()
    env: tuple[EnvVar, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    resources: dict[str, Any] = msgspec.field(default_factory=dict)
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    restart_policy: RestartPolicy | None = None
    restart_policy_rules: tuple[RuleView, ...] = ()
    startup_probe: ProbeHandler | None = None
    readiness_probe: ProbeHandler | None = None
    liveness_probe: ProbeHandler | None = None
    lifecycle: Lifecycle | None = None
    volume_mounts: tuple[VolumeMount, ...] = ()
    termination_message_path: str = ""
    termination_message_policy: str = ""

    @property
    def is_sidecar(self) -> bool:
        """Of an init container: whether it goes on beside the app containers."""
        return self.restart_policy is RestartPolicy.ALWAYS
