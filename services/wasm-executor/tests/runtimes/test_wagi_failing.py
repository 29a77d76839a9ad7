"""Requests of CGI handlers that come to nothing: each costs itself alone, and is told rightly."""

import errno
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from answering_server import answering, own_certificate
from http_rig import Served, serving
from keeper_rig import Compiler, KeeperProcess, Supervisor, wait_until
from process_tree import children

from wasm_executor.container.plan import HttpPlan, Preopen, ProcessPlan, Route
from wasm_executor.runtimes.engine import new_engine
from wasm_executor.runtimes.wagi.asking import Asking
from wasm_executor.runtimes.wagi.programs import Program
from wasm_executor.runtimes.wasihttp.outgoing import Outgoing
from wasm_executor.runtimes.wasihttp.policy import Policy
from wasm_executor.runtimes.wasihttp.trust import trust_of
from wasm_executor.runtimes.wasimodules import new_module_linker

HEAD = "POST /{path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def cgi(
    supervisor: Supervisor,
    http: HttpPlan,
    *routes: str,
    preopens: tuple[Preopen, ...] = (),
    **env: str,
) -> AsyncIterator[Served]:
    named = tuple(Route(route=f"/{name}", entrypoint=name) for name in routes)
    plan = msgspec.structs.replace(http, routes=named)
    async with serving(supervisor, "cgi", plan, preopens, runtime="wagi", env=env) as served:
        yield served


async def test_a_client_that_takes_no_answer_costs_its_own_request_alone(
    keeper: KeeperProcess,
) -> None:
    plan = HttpPlan(timeout_s=1)
    async with keeper.supervise() as supervisor, cgi(supervisor, plan, "large", "moved") as served:
        assert served.get("/moved").status == 302
        workers = children(served.container.pid)
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(served.address)
            client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            # Either ends it: the kernel may take a little more just when time is up, and then the
            # program's own end is seen.
            wait_until(lambda: "request failed: GET /large: " in served.container.content("stderr"))
            assert served.get("/moved").status == 302
            assert children(served.container.pid) == workers


async def test_a_body_that_is_too_large_is_told_and_none_that_is_cut_off_is_whole(
    keeper: KeeperProcess,
) -> None:
    plan = HttpPlan(max_body_bytes=8)
    async with keeper.supervise() as supervisor, cgi(supervisor, plan, "hold", "leave") as served:
        with served.client() as client:
            client.send("POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
            assert client.answer().status == 413
        with served.client() as client:
            client.send(HEAD.format(path="hold") + "9\r\ntoo large\r\n")
            assert client.answer().status == 413
            assert client.ended()
        with served.client() as client:
            client.send(HEAD.format(path="hold") + "3\r\ncut")
        said = served.container
        wait_until(lambda: said.content("stderr").count("its body is broken") == 2)
        with served.client() as client:
            client.send(HEAD.format(path="hold") + "3\r\nall\r\n0\r\n\r\n")
            assert client.answer().status == 200
        assert served.get("/leave").status == 500
        wait_until(lambda: "GET /leave: it ended" in said.content("stderr"))
        failed = [line for line in said.content("stderr").splitlines() if "request failed" in line]
        assert [line.split("request failed: ")[1] for line in failed] == [
            "POST /hold: the body is too large",
            "GET /leave: it ended with exit code 3",
        ]  # and nothing of the client that left
        assert "its body is whole" in said.content("stderr")


async def test_a_server_is_trusted_by_the_certificates_that_the_container_names(
    keeper: KeeperProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "trusted"
    folder.mkdir()
    file = folder / "ca.pem"
    context = own_certificate(file, "localhost")
    file.write_text("# Bäckerei Müller, Zürich\n" + file.read_text(), encoding="utf-8")
    mounts = (Preopen(host_path=str(folder), guest_path="/trusted", read_only=True),)
    with answering(200, b"over TLS\n", context) as port:
        name, address = f"localhost:{port}", f"127.0.0.1:{port}"
        plan = HttpPlan(allowed_hosts=(name, address), node_hosts=(name, address))
        env = {"SSL_CERT_FILE": "/trusted/ca.pem"}
        async with keeper.supervise() as supervisor:
            async with cgi(supervisor, plan, "ask", preopens=mounts, **env) as served:
                assert served.get(f"/ask?https://{name}/").body == b"over TLS\n"
            async with cgi(supervisor, plan, "ask") as served:  # by the machine's own
                assert served.get(f"/ask?https://{name}/").body == b"refused: ;\n"


@pytest.fixture(scope="module")
def program(compiler: Compiler) -> Program:
    engine = new_engine()
    linker, asking = new_module_linker(engine), Asking()
    asking.define(linker)
    plan = ProcessPlan(runtime="wagi", artifact=compiler.artifact("cgi"), args=())
    return Program(engine, linker, plan, asking, Outgoing(Policy((), ()), trust_of((), ())))


@pytest.mark.parametrize("name", ["fork", "pipe"])
def test_a_machine_without_room_for_a_process_loses_no_descriptor(
    program: Program, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EAGAIN, "no room")

    before = open_here()
    monkeypatch.setattr(os, name, full)
    with pytest.raises(OSError, match="no room"):
        program.begin("moved", (), {}, 0.0)
    assert open_here() == before


def open_here() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths
