"""What can go wrong in the registrar, by what follows."""

from servicekit.errors import ServiceError


class RegistrarError(ServiceError):
    """Base of this service's errors; one that ends the process says why in one line."""


class ClusterAccessError(RegistrarError):
    """The kubeconfig or service account cannot be used: a matter for the operator."""


class LeadershipLostError(RegistrarError):
    """Another replica leads, or may: drop everything and stand for election again."""


class ForeignNodeError(RegistrarError):
    """A living kubelet of another kind has this Node: leave it alone."""

    def __init__(self, node: str, kubelet_version: str) -> None:
        self.node = node
        self.kubelet_version = kubelet_version
        super().__init__(f"node {node} belongs to a running kubelet {kubelet_version}")


class HostMissingError(RegistrarError):
    """The machine that this Node would stand beside is no Node of the cluster: wait for it."""

    def __init__(self, node: str, host: str) -> None:
        self.node = node
        self.host = host
        super().__init__(f"node {node}: there is no Node {host} that it could stand beside")


class NotWantedError(RegistrarError):
    """The installation is being removed: no Node is created any more."""


class GrantMovedError(RegistrarError):
    """The Node records another grant than the one that was known: decide again."""


class IssuerError(RegistrarError):
    """The key that signs for the bus cannot be used: a matter for the operator."""


class UnreadableQuestionError(RegistrarError):
    """What the NATS server asked is not of the form that is known: let nobody in by it."""
