"""A service whose CA is not that of the bus: it says so, and comes in when the file is right."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
import uvloop
from structlog.testing import capture_logs

from contract.subjects import Role
from controlplane.certificates import Authority
from embedded_nats import EmbeddedNats
from servicekit import connecting
from servicekit.bus import connected
from servicekit.settings import ServiceSettings


class SecuredNats(EmbeddedNats):
    """The same server with a certificate of this authority."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(folder, [])
        self._pair = authority.issue("bus", name="nats", hosts=["127.0.0.1"])

    def _configuration(self, ports: Path) -> str:
        tls = {"cert_file": str(self._pair.certificate), "key_file": str(self._pair.key)}
        return json.dumps(json.loads(super()._configuration(ports)) | {"tls": tls})


@pytest.mark.parametrize("is_empty", [True, False], ids=["empty", "another"])
@pytest.mark.parametrize("run", [uvloop.run, asyncio.run])
def test_a_ca_that_is_mended_lets_a_waiting_service_in(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[Coroutine[None, None, None]], None],
    *,
    is_empty: bool,
) -> None:
    """nats-py waits for ever for the end of a handshake that failed."""
    monkeypatch.setattr(connecting, "REFUSED_WAIT_S", 0.05)
    authority, another = Authority(tmp_path, "bus-ca"), Authority(tmp_path, "another-ca")
    mounted = tmp_path / "ca.crt"
    mounted.write_bytes(b"" if is_empty else another.pair.certificate.read_bytes())
    with SecuredNats(tmp_path / "nats", authority) as server:
        settings = ServiceSettings(
            nats_url=server.url.replace("nats://", "tls://"),
            nats_password_file=server.password_file(Role.LOG_SERVER),
            nats_ca_file=mounted,
        )

        async def come_in() -> None:
            with capture_logs() as logs:

                async def mend() -> None:
                    while [each["event"] for each in logs].count("bus.tls_failed") < 2:
                        await asyncio.sleep(0.01)
                    mounted.write_bytes(authority.pair.certificate.read_bytes())

                async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
                    tasks.create_task(mend(), name="mend")
                    async with connected(settings, Role.LOG_SERVER):
                        pass

        run(come_in())
