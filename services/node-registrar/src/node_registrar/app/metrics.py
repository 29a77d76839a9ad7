"""What the registrar counts of its pool."""

from typing import Final

from prometheus_client import Gauge

NODES: Final = Gauge(
    "wasmlet_registrar_nodes", "Nodes that this registrar keeps; 0 where another one leads."
)
