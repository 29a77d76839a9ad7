"""Pods whose component handles HTTP requests."""

import socket
from typing import Any

from e2e.pods import pod

HTTP_CLASS = "wasmtime-wasi-http"


def free_port() -> int:
    with socket.socket() as probing:
        probing.bind(("", 0))
        number: int = probing.getsockname()[1]
        return number


def served(name: str, image: str, port: int) -> dict[str, Any]:
    """A pod that is ready when its handler answers."""
    manifest = pod(name, image, ports=[{"name": "http", "containerPort": port}])
    container = manifest["spec"]["containers"][0]
    container["readinessProbe"] = {
        "httpGet": {"path": "/hello", "port": "http"},
        "periodSeconds": 1,
    }
    manifest["metadata"]["labels"] = {"app": name}
    manifest["spec"] |= {
        "hostNetwork": True,
        "runtimeClassName": HTTP_CLASS,
        "restartPolicy": "Always",
    }
    return manifest
