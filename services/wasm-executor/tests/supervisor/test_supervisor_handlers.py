"""Pods of HTTP handlers, as the supervisor has them: their ports, their workers."""

import socket
from pathlib import Path

import pytest
from executor_rig import NODE, executor_rig

from contract.messages.pod import Drain, RestartPolicy
from contract.messages.usage import UsageRead, UsageShown


async def test_workers_are_as_many_as_the_cpu_limit_and_count_as_their_containers(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path, USAGE_INTERVAL_S="0.05") as rig:
        port = free_port()
        plan = rig.plan("http", ports=(port,), cpu_limit_millis=1500, memory_limit_bytes=64 << 20)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().endswith(b"hello\n\r\n0\r\n\r\n")
        shown: UsageShown = await rig.peer.ask(UsageRead(node=NODE, files=False))
        (container,) = next(each for each in shown.pods if each.uid == plan.uid).containers
        assert container.usage is not None
        assert container.usage.processes == 1 + 2
        assert container.usage.memory_bytes < 16 << 20


async def test_what_a_cgi_request_takes_counts_as_its_containers(tmp_path: Path) -> None:
    """It is a process of its own, forked from a worker's."""
    async with executor_rig(tmp_path) as rig:
        port = free_port()
        plan = rig.plan(
            "greedy",
            ports=(port,),
            memory_limit_bytes=24 << 20,
            runtime_handler="wagi",
            restart_policy=RestartPolicy.NEVER,
        )
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            end = await rig.peer.stopped(plan)
        assert (end.exit_code, end.reason) == (137, "OOMKilled")


async def test_a_port_that_another_has_is_told_and_taken_when_it_is_free(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, RESTART_DELAY_S="0.2", ERROR_SHOWN_S="30") as rig:
        with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104 - as a pod's port is
            port = taken.getsockname()[1]
            plan = rig.plan("http", ports=(port,))
            await rig.peer.apply(plan)
            waiting = await rig.peer.waiting(plan, "CreateContainerError")
            assert waiting.message == f"cannot listen on port {port}: address already in use"
        await rig.peer.running(plan)


@pytest.mark.parametrize("drain", Drain)
async def test_a_handler_drains_whatever_its_pod_says_of_guests(
    tmp_path: Path, drain: Drain
) -> None:
    """A pod's other containers may drain at their stdin or a file; a handler looks at neither."""
    async with executor_rig(tmp_path) as rig:
        plan = rig.plan("http", ports=(free_port(),), drain=drain)
        await rig.peer.apply(plan)
        await rig.peer.running(plan)
        await rig.peer.delete(plan, grace_s=60)
        assert (await rig.peer.stopped(plan)).exit_code == 0


def free_port() -> int:
    with socket.socket() as probing:
        probing.bind(("", 0))
        number: int = probing.getsockname()[1]
        return number
