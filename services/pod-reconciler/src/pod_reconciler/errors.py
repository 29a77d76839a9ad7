"""What can go wrong here, by what the caller should do next."""


class ReconcilerError(Exception):
    """Base of this service's errors."""


class PlanError(ReconcilerError):
    """A pod cannot be turned into a plan: refuse the pod. `field` is the path of what is wrong."""

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}")


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

    After `retry_in_s` where the other side said so, else after a growing back-off.
    """

    def __init__(self, problem: str, retry_in_s: float | None = None) -> None:
        self.retry_in_s = retry_in_s
        super().__init__(problem)


class WriteRefusedError(ReconcilerError):
    """The write is not accepted: wait until something changes, or for long."""


class PodAbsentError(ReconcilerError):
    """There is no such pod, or its name belongs to another UID: ask by GET, then decide."""


class NameTakenError(ReconcilerError):
    """An object of this name is there already: look at it, then decide."""
