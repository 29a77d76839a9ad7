"""The `wasi-http` runtime: what a client of it sees."""

import msgspec
import pytest
from http_rig import serving
from keeper_rig import KeeperProcess, wait_until

from wasm_executor.keeper.errors import StartFailedError


async def test_requests_on_one_connection_are_answered_in_their_order(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor, serving(supervisor) as served:
        with served.client() as client:
            client.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
            echo = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
            client.send(f"{echo}four{echo}five")
            client.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            client.send("GET /count HTTP/1.1\r\nHost: a\r\n\r\n")
            bodies = [client.answer().body for _ in range(4)]
            assert bodies == [b"hello\n", b"hello\n", b"four", b"five"]
            assert client.answer(to_head=True).status == 200
            assert client.answer().body == b"1\n"


async def test_a_failed_handler_is_a_status_and_a_line_in_the_log(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor, serving(supervisor) as served:
        statuses = {path: served.get(path).status for path in ("/trap", "/nothing", "/fail")}
        assert statuses == {"/trap": 500, "/nothing": 500, "/fail": 502}
        assert served.get("/write").body == b"hello\n"
        with served.client() as client:
            client.send("GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.line().split()[1] == "200"
            while not client.line().startswith("hello"):
                pass
            assert client.line() == "\r\n"
            assert client.ended()  # without its last chunk: nobody takes it for the whole
        wait_until(lambda: "a line on stderr\n" in served.container.content("stderr"))
        said = served.container.content("stderr")
        assert "GET /trap: " in said
        assert "unreachable" in said


async def test_a_handler_under_the_runtime_for_commands_says_which_class_it_wants(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        own = supervisor.plan("http")
        artifact = msgspec.structs.replace(own.artifact, world="http")
        plan = msgspec.structs.replace(own, runtime="wasi", artifact=artifact)
        with pytest.raises(StartFailedError, match="wasmtime-wasi-http"):
            await supervisor.spawn(supervisor.spec("http"), plan)


async def test_a_module_in_a_pod_of_handlers_is_told_which_runtimes_are_for_it(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        plan = msgspec.structs.replace(supervisor.plan("hello"), runtime="wasi-http")
        with pytest.raises(StartFailedError, match=r"this is a module: .*wasmtime-wagi"):
            await supervisor.spawn(supervisor.spec("hello"), plan)
