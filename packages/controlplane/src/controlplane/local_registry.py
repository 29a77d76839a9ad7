"""A registry in the foreground for local work, at an address that manifests can name."""

from pathlib import Path

from controlplane.building import build_registry
from controlplane.foreground import folder_or_temporary, interruptible, watch
from controlplane.ports import free_ports, require_free
from controlplane.registry import Registry
from controlplane.terminal import answer

DEFAULT_PORT = 5000


def run_registry(port: int, data_dir: Path | None) -> None:
    """Runs until a signal comes; port 0 stands for any free one.

    Raises PortTakenError, before anything is started, where somebody else listens.
    """
    if port == 0:
        (port,) = free_ports(1)
    require_free(port)
    programs = build_registry()
    with folder_or_temporary(data_dir, "wasmlet-registry-") as folder:
        registry = Registry(folder, port=port, programs=programs)
        try:
            with interruptible():
                registry.start()
                answer(_how_to_use(registry.host))
                watch([registry.process])
        finally:
            registry.stop()


def _how_to_use(host: str) -> str:
    push = f".venv/bin/wasmlet push FILE.wasm {host}/NAME:TAG --insecure"
    return f"registry ready: {push}; make join REGISTRY={host}  (Ctrl-C stops it)"
