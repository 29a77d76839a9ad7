"""Probes and hooks of a container in the wire's form: named ports resolved, defaults filled in.

A port whose name the container does not have becomes port 0, which no probe can reach: the kubelet
too starts such a container, and lets each of its probes fail.
"""

from typing import Final

from contract.messages.health import (
    DEFAULT_FAILURES,
    DEFAULT_PERIOD_S,
    DEFAULT_TIMEOUT_S,
    Exec,
    Grpc,
    Hook,
    HttpGet,
    Probe,
    ProbeAction,
    Sleep,
    TcpSocket,
)
from pod_reconciler.domain.container import (
    Container,
    HookHandler,
    HttpGetAction,
    Port,
    ProbeHandler,
    TcpSocketAction,
)
from pod_reconciler.domain.expansion import expand
from pod_reconciler.errors import PlanError

UNKNOWN_PORT: Final = 0
_NO_HANDLER: Final = "must specify a handler type"


def probes_of(container: Container, path: str) -> tuple[Probe | None, Probe | None, Probe | None]:
    """Startup, readiness and liveness; raises `PlanError` for a probe that says not what to do."""
    return (
        _probe(container.startup_probe, container, f"{path}.startupProbe"),
        _probe(container.readiness_probe, container, f"{path}.readinessProbe"),
        _probe(container.liveness_probe, container, f"{path}.livenessProbe"),
    )


def hooks_of(container: Container, path: str) -> tuple[Hook | None, Hook | None]:
    """PostStart and preStop; raises `PlanError` for a hook that says not what to do."""
    lifecycle = container.lifecycle
    if lifecycle is None:
        return None, None
    return (
        _hook(lifecycle.post_start, container, f"{path}.lifecycle.postStart"),
        _hook(lifecycle.pre_stop, container, f"{path}.lifecycle.preStop"),
    )


def _probe(probe: ProbeHandler | None, container: Container, path: str) -> Probe | None:
    if probe is None:
        return None
    return Probe(
        action=_probe_action(probe, container, path),
        initial_delay_s=probe.initial_delay_seconds,
        period_s=probe.period_seconds or DEFAULT_PERIOD_S,
        timeout_s=probe.timeout_seconds or DEFAULT_TIMEOUT_S,
        success_threshold=probe.success_threshold or 1,
        failure_threshold=probe.failure_threshold or DEFAULT_FAILURES,
        termination_grace_s=probe.termination_grace_period_seconds,
    )


def _probe_action(probe: ProbeHandler, container: Container, path: str) -> ProbeAction:
    if probe.exec is not None:
        # Only what is written down counts here, as for the kubelet: a reference is an empty value.
        static = {variable.name: variable.value for variable in container.env}
        return Exec(command=tuple(expand(word, static) for word in probe.exec.command))
    if probe.http_get is not None:
        return _http_get(probe.http_get, container)
    if probe.tcp_socket is not None:
        return _tcp_socket(probe.tcp_socket, container)
    if probe.grpc is not None:
        return Grpc(port=probe.grpc.port, service=probe.grpc.service)
    raise PlanError(path, _NO_HANDLER)


def _hook(hook: HookHandler | None, container: Container, path: str) -> Hook | None:
    if hook is None:
        return None
    if hook.exec is not None:
        return Exec(command=hook.exec.command)  # the kubelet expands nothing in a hook
    if hook.http_get is not None:
        return _http_get(hook.http_get, container)
    if hook.sleep is not None:
        return Sleep(seconds=hook.sleep.seconds)
    if hook.tcp_socket is not None:
        return _tcp_socket(hook.tcp_socket, container)
    raise PlanError(path, _NO_HANDLER)


def _http_get(action: HttpGetAction, container: Container) -> HttpGet:
    return HttpGet(
        port=_port(action.port, container),
        path=action.path or "/",
        host=action.host,
        scheme=action.scheme or "HTTP",
        headers=tuple((header.name, header.value) for header in action.http_headers),
    )


def _tcp_socket(action: TcpSocketAction, container: Container) -> TcpSocket:
    return TcpSocket(port=_port(action.port, container), host=action.host)


def _port(port: Port, container: Container) -> int:
    if isinstance(port, int):
        return port
    for each in container.ports:
        if each.name == port:
            return each.container_port
    return int(port) if port.isdecimal() else UNKNOWN_PORT
