"""What a node's kubelet port shows to a client that trusts the cluster's authority alone."""

import hashlib
import socket
import ssl

from controlplane import ControlPlane
from e2e.api import Api


def signed_certificate(plane: ControlPlane, api: Api, node: str) -> str | None:
    """The fingerprint of what the cluster signed; None while the port shows nothing of it."""
    status = api.get(f"/api/v1/nodes/{node}")["status"]
    port = status["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    (address,) = (e["address"] for e in status["addresses"] if e["type"] == "InternalIP")
    context = ssl.create_default_context(cafile=str(plane.authority))
    try:
        with (
            socket.create_connection((address, port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=address) as secured,
        ):
            der = secured.getpeercert(binary_form=True)
    except OSError:
        return None
    assert der is not None
    return hashlib.sha256(der).hexdigest()
