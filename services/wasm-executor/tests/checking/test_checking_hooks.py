"""httpGet hooks: any answer will do."""

import asyncio

from scripted_http import HANG, ScriptedServer, response, serve

from contract.ids import PodUid
from contract.messages.health import HttpGet
from contract.messages.pod import PodPlan, RestartPolicy
from wasm_executor.checking.hooking import (
    call_hook,
    exec_exited,
    exec_hook_failed,
    http_hook_failed,
)

POD = PodPlan(
    uid=PodUid("u-1"),
    namespace="ns",
    name="pod",
    restart_policy=RestartPolicy.ALWAYS,
    containers=(),
)


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


def test_a_failed_command_is_told_as_the_kubelet_tells_it() -> None:
    error = exec_exited(("tool", "greet"), 3, "no\n")
    assert exec_hook_failed(("tool", "greet"), POD, "c", error, "no\n") == (
        'Exec lifecycle hook ([tool greet]) for Container "c" in Pod "pod_ns(u-1)" failed - error: '
        "command 'tool greet' exited with 3: no\n, message: \"no\\n\""
    )


def test_a_failed_request_is_told_as_the_kubelet_tells_it() -> None:
    assert http_hook_failed("/bye", POD, "c", "no route") == (
        'HTTP lifecycle hook (/bye) for Container "c" in Pod "pod_ns(u-1)" failed - error: no route'
    )
