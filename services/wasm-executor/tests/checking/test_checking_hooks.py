"""httpGet hooks: any answer will do."""

import asyncio

from scripted_http import HANG, ScriptedServer, response, serve

from contract.messages.health import HttpGet
from wasm_executor.checking.hooking import call_hook


async def test_hook_is_called_as_life_cycle(server: ScriptedServer) -> None:
    assert await call_hook(HttpGet(port=server.port, path="/bye"), server.host) is None
    assert server.heads[0].startswith(b"GET /bye HTTP/1.1\r\n")
    assert b"\r\nUser-Agent: kube-lifecycle/1.36\r\n" in server.heads[0]


async def test_status_of_a_hook_is_not_asked_for(server: ScriptedServer) -> None:
    server.answer("/", response("500 No", "Content-Length: 9", body=b"cut", sized=False))
    assert await call_hook(HttpGet(port=server.port), server.host) is None


async def test_hook_that_nobody_answers_fails_with_the_reason() -> None:
    async with serve("127.0.0.1") as server:
        port = server.port
    assert await call_hook(HttpGet(port=port), "127.0.0.1") == (
        f'Get "http://127.0.0.1:{port}/": dial tcp 127.0.0.1:{port}: connect: connection refused'
    )


async def test_https_hook_of_a_plain_server_is_called_again_without_credentials(
    server: ScriptedServer,
) -> None:
    action = HttpGet(port=server.port, scheme="HTTPS", headers=(("authorization", "a"), ("B", "b")))
    server.greets = b"HTTP/1.1 400 Bad Request\r\n\r\n"
    assert await call_hook(action, server.host) is None
    assert b"Authorization" not in server.heads[0]
    assert b"\r\nB: b\r\n" in server.heads[0]


async def test_hook_waits_until_it_is_cancelled(server: ScriptedServer) -> None:
    server.answer("/", HANG)
    hook = asyncio.create_task(call_hook(HttpGet(port=server.port), server.host))
    async with asyncio.timeout(10):
        while not server.heads:
            await asyncio.sleep(0.005)
        hook.cancel()
        await server.left.wait()
    assert hook.cancelled()
