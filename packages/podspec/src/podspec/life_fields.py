"""Rows for what a node does to a container during its life: probes, hooks, restarts, last words."""

from typing import Final

from podspec.rows import Row, honoured, refused

_PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")
_PROBE_NUMBERS: Final = (
    "initialDelaySeconds",
    "periodSeconds",
    "timeoutSeconds",
    "successThreshold",
    "failureThreshold",
    "terminationGracePeriodSeconds",
)
_HOOKS: Final = ("postStart", "preStop")
_NO_RULES: Final = "an ephemeral container is run once, and has none"


def life_rows(path: str) -> tuple[Row, ...]:
    """The rows of an init or app container at this path."""
    return (
        honoured(f"{path}.restartPolicy", pattern="Always|OnFailure|Never"),
        honoured(f"{path}.restartPolicyRules[].action", pattern="Restart|RestartAllContainers"),
        honoured(f"{path}.restartPolicyRules[].exitCodes.operator", pattern="In|NotIn"),
        honoured(f"{path}.restartPolicyRules[].exitCodes.values"),
        *(row for probe in _PROBES for row in _probe_rows(f"{path}.{probe}")),
        *(row for hook in _HOOKS for row in _hook_rows(f"{path}.lifecycle.{hook}")),
        refused(f"{path}.lifecycle.stopSignal", "a guest has no signals"),
        *last_word_rows(path),
    )


def ephemeral_life_rows(path: str) -> tuple[Row, ...]:
    """The rows of an ephemeral container, to which Kubernetes allows little."""
    return (
        refused(f"{path}.restartPolicy", _NO_RULES),
        refused(f"{path}.restartPolicyRules", _NO_RULES),
        *(refused(f"{path}.{probe}", _NO_RULES) for probe in _PROBES),
        refused(f"{path}.lifecycle", _NO_RULES),
        *last_word_rows(path),
    )


def last_word_rows(path: str) -> tuple[Row, ...]:
    """What a container leaves behind for its status."""
    return (
        honoured(f"{path}.terminationMessagePath"),
        honoured(f"{path}.terminationMessagePolicy", pattern="File|FallbackToLogsOnError"),
    )


def _probe_rows(path: str) -> tuple[Row, ...]:
    return (
        *_action_rows(path),
        honoured(f"{path}.grpc.port"),
        honoured(f"{path}.grpc.service"),
        refused(f"{path}.grpc.mode", "health is asked without TLS", defaults=("Plaintext",)),
        *(honoured(f"{path}.{number}") for number in _PROBE_NUMBERS),
    )


def _hook_rows(path: str) -> tuple[Row, ...]:
    return (*_action_rows(path), honoured(f"{path}.sleep.seconds"))


def _action_rows(path: str) -> tuple[Row, ...]:
    """What probes and hooks have in common."""
    return (
        honoured(f"{path}.exec.command"),
        honoured(f"{path}.httpGet.path"),
        honoured(f"{path}.httpGet.port"),
        honoured(f"{path}.httpGet.host"),
        honoured(f"{path}.httpGet.scheme", pattern="HTTP|HTTPS"),
        honoured(f"{path}.httpGet.httpHeaders[].name"),
        honoured(f"{path}.httpGet.httpHeaders[].value"),
        refused(f"{path}.httpGet.protocol", "only HTTP/1.1 is spoken"),
        honoured(f"{path}.tcpSocket.port"),
        honoured(f"{path}.tcpSocket.host"),
    )
