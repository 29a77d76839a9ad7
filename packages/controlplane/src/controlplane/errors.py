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


class KubectlError(ControlPlaneError):
    """kubectl ended with another code than 0."""

    def __init__(self, arguments: tuple[str, ...], code: int, stderr: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)} ended with {code}: {stderr.strip()}")
        self.arguments = arguments
        self.code = code
        self.stderr = stderr
