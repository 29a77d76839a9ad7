"""Workers of one container: how many, what they share, how they end."""

import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from http_rig import serving
from keeper_rig import GUESTS, Compiler, KeeperProcess, descriptors, is_alive, wait_until
from process_tree import children
from wasmtime import WasmtimeError
from wasmtime.component import Component

from wasm_executor.container.plan import HttpPlan
from wasm_executor.runtimes.engine import new_engine
from wasm_executor.runtimes.wasihttp.pooling import PLACES, POOL

HANDLER = GUESTS[0] / "http.wat"


async def test_an_instance_is_fresh_unless_reuse_is_asked_for(keeper: KeeperProcess) -> None:
    plan = HttpPlan(reuse=3)
    async with keeper.supervise() as supervisor:
        async with serving(supervisor) as served:
            assert [served.get("/count").body for _ in range(2)] == [b"1\n", b"1\n"]
        async with serving(supervisor, http=plan) as served:
            counts = [served.get("/count").body for _ in range(4)]
            assert counts == [b"1\n", b"2\n", b"3\n", b"1\n"]


async def test_a_handler_that_is_too_large_for_the_pool_is_served_without_one(
    keeper: KeeperProcess, compiler: Compiler
) -> None:
    text = HANDLER.read_text().replace("(global $count", "(table 200000 funcref) (global $count")
    compiler.add("http_table", text)
    with pytest.raises(WasmtimeError, match="exceeds the limit"):
        Component.deserialize_file(new_engine(POOL), compiler.artifact("http_table").path)
    Component.deserialize_file(new_engine(POOL), compiler.artifact("http").path)
    async with keeper.supervise() as supervisor, serving(supervisor, "http_table") as served:
        assert [served.get("/count").body for _ in range(2)] == [b"1\n", b"1\n"]


def test_a_process_without_so_much_address_space_does_without_a_pool() -> None:
    program = """
        import resource
        from wasm_executor.runtimes.wasihttp.pooling import pool_here
        from wasm_executor.runtimes.wasihttp.runtime import WasiHttpRuntime
        assert pool_here() is not None
        resource.setrlimit(resource.RLIMIT_AS, (64 << 30, 64 << 30))
        assert pool_here() is None
        WasiHttpRuntime().prepare()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


async def test_as_many_requests_as_are_allowed_find_a_place(keeper: KeeperProcess) -> None:
    plan = HttpPlan(concurrency=PLACES)
    async with keeper.supervise() as supervisor, serving(supervisor, http=plan) as served:
        with ThreadPoolExecutor(PLACES) as clients:
            answers = list(clients.map(served.get, ["/sleep"] * PLACES))
        assert {each.status for each in answers} == {200}


async def test_workers_share_the_listener_and_drain_at_sigterm(keeper: KeeperProcess) -> None:
    plan = HttpPlan(workers=2)
    async with keeper.supervise() as supervisor, serving(supervisor, http=plan) as served:
        pid = served.container.pid
        wait_until(lambda: len(children(pid)) == 2)
        assert sum(each.startswith("socket:") for each in descriptors(pid)) >= 1
        with served.client() as idle, served.client() as busy, ThreadPoolExecutor(1) as pool:
            idle.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
            assert idle.answer().status == 200
            busy.send("GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = pool.submit(busy.answer)
            wait_until(lambda: any(len(threads(each)) > 1 for each in children(pid)))
            await supervisor.client.signal(served.container.key, signal.SIGTERM)
            assert answer.result().body == b"hello\n"
            assert answer.result().status == 200
            assert idle.ended()
        exit_ = await supervisor.next_exit()
        assert (exit_.code, exit_.signal) == (0, None)
        with pytest.raises(ConnectionRefusedError):
            served.client()


async def test_workers_die_with_their_container(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor, serving(supervisor) as served:
        assert served.get("/hello").status == 200
        workers = children(served.container.pid)
        await supervisor.client.signal(served.container.key, signal.SIGKILL)
        assert (await supervisor.next_exit()).code == 137
        wait_until(lambda: not any(is_alive(each) for each in workers))


def threads(pid: int) -> list[str]:
    return [each.name for each in Path(f"/proc/{pid}/task").iterdir()]
