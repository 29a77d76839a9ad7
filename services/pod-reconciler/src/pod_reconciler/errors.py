"""What can go wrong here, by what the caller should do next."""

from servicekit.errors import ServiceError


class ReconcilerError(Exception):
    """Base of this service's errors."""


class ClusterAccessError(ReconcilerError, ServiceError):
    """The kubeconfig or service account cannot be used: a matter for the operator."""


class PlanError(ReconcilerError):
    """A pod cannot be turned into a plan: refuse the pod. `field` is the path of what is wrong."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}")

    @property
    def annotation(self) -> str:
        """The annotation that is wrong; empty where it is something else."""
        _, prefix, name = self.field.rpartition("metadata.annotations[")
        return name.removesuffix("]") if prefix else ""


class ContainerConfigError(ReconcilerError):
    """A container lacks something that may come: it waits, and its status shows this text."""


class IllegalTransitionError(ReconcilerError):
    """A pod's state has no such transition: nothing was changed."""

    def __init__(self, state: str, event: str) -> None:
        self.state = state
        self.event = event
        super().__init__(f"{event} is not possible in state {state}")


class ManifestError(ReconcilerError):
    """A manifest cannot be used: tell the user, go on with the others."""

    def __init__(self, file: str, problem: str) -> None:
        self.file = file
        self.problem = problem
        super().__init__(f"{file}: {problem}")


class ActFailedError(ReconcilerError):
    """A write or command did not succeed, or nobody knows whether it did: try again.

    After `retry_in_s` where the other side said so, else after a growing back-off. `is_of_content`:
    what was sent was wrong, so another thing need not wait as long.
    """

    def __init__(
        self, problem: str, retry_in_s: float | None = None, *, is_of_content: bool = False
    ) -> None:
        self.retry_in_s = retry_in_s
        self.is_of_content = is_of_content
        super().__init__(problem)


class WriteRefusedError(ReconcilerError):
    """The write is not accepted: wait until something changes, or for long."""


class PodAbsentError(ReconcilerError):
    """There is no such pod, or its name belongs to another UID: ask by GET, then decide."""


class NameTakenError(ReconcilerError):
    """An object of this name is there already: look at it, then decide."""
