"""What can be wrong with a pod that never met an API server's validation."""

from typing import Any


class PodspecError(Exception):
    """The base of every error of this package."""


class QuantityError(PodspecError):
    """No Kubernetes quantity. The pod cannot be admitted."""

    def __init__(self, value: Any) -> None:
        super().__init__(f"{value!r} is no quantity")
        self.value = value
