"""What every installation calls its own, so that each command looks for it by the same name."""

from typing import Final

NAMESPACE: Final = "wasmlet-system"
"""Of the services, where nobody chose another."""
RELEASE: Final = "wasmlet-installation"
"""The ConfigMap by which an installation of the chart's shows itself."""
INCARNATION: Final = "wasmlet.dev/incarnation"
"""The annotation by which a Node of ours says who runs its pods."""
