"""A kubelet whose logs are there already: `kubectl logs` without wasmlet, by the same API server.

It is a Node object that leads to a static server, and a pod that is bound to it.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.cluster import PODS, create_all, pod_body
from benchmarks.static import tls_of, write_log
from controlplane import ControlPlane
from controlplane.ports import free_ports
from kubekit.client import Api

NODE: Final = "bare-kubelet"
NODES: Final = "/api/v1/nodes"
ADDRESS: Final = "127.0.0.1"
MERGE: Final = "application/merge-patch+json"


@asynccontextmanager
async def bare_kubelet(plane: ControlPlane, api: Api, size: int) -> AsyncIterator[str]:
    """Give the name of a pod whose log is so long."""
    (port,) = free_ports(1)
    given = (str(port), str(plane.admin_kubeconfig), str(size))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.barekubelet", *given, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        await _create_node(api, port)
        await create_all(api, [pod_body(NODE, "none", NODE, {})])
        yield NODE
        await _delete(api, f"{PODS}/{NODE}")
        await _delete(api, f"{NODES}/{NODE}")
    finally:
        process.terminate()
        await process.wait()


async def _create_node(api: Api, port: int) -> None:
    await api.request("POST", NODES, body=msgspec.json.encode({"metadata": {"name": NODE}}))
    status: dict[str, Any] = {
        "addresses": [{"type": "InternalIP", "address": ADDRESS}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    body = msgspec.json.encode({"status": status})
    await api.request("PATCH", f"{NODES}/{NODE}/status", body=body, content_type=MERGE)


async def _delete(api: Api, path: str) -> None:
    await api.request("DELETE", path, body=b'{"gracePeriodSeconds":0}')


async def main() -> None:
    port, kubeconfig, size = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await write_log(writer, size)
        writer.close()

    server = await asyncio.start_server(serve, ADDRESS, port, ssl=tls_of(kubeconfig))
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
