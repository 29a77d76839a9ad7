"""What can go wrong with a control plane on this machine, and what the caller can do about it."""

from pathlib import Path


class ControlPlaneError(Exception):
    """The base of all errors of this package."""


class BuildError(ControlPlaneError):
    """The programs could not be built: final until Go, the network or go.mod changes."""


class ComponentError(ControlPlaneError):
    """A component ended or did not become ready; its last log lines say why."""

    def __init__(self, component: str, what: str, log_path: Path, tail: str) -> None:
        super().__init__(f"{component} {what}; end of {log_path}:\n{tail}")
        self.component = component
        self.log_path = log_path
        self.tail = tail


class KubeconfigInUseError(ControlPlaneError):
    """A cluster's kubeconfig must not go here: choose another file."""

    def __init__(self, path: Path, why: str) -> None:
        other = "--kubeconfig FILE (with make: KUBECONFIG_FILE=FILE)"
        super().__init__(f"{path} {why}; name another for this one: {other}")
        self.path = path


class PortTakenError(ControlPlaneError):
    """Nobody can listen there now: choose another port, or stop whoever has it."""

    def __init__(self, port: int, why: str) -> None:
        other = "--port PORT (with make: REGISTRY_PORT=PORT)"
        super().__init__(f"nobody can listen on 127.0.0.1:{port} ({why}); name another: {other}")
        self.port = port


class KubectlError(ControlPlaneError):
    """kubectl ended with another code than 0."""

    def __init__(self, arguments: tuple[str, ...], code: int, stderr: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)} ended with {code}: {stderr.strip()}")
        self.arguments = arguments
        self.code = code
        self.stderr = stderr
