"""Attached clients and forwarded ports over the bus: a container's own stdin, a pod's own port."""

import socket
import uuid
from pathlib import Path
from typing import Any

import pytest
from executor_rig import Rig, executor_rig, kill_supervisor

from contract.errors import CommandError
from contract.messages.pod import PodPlan, RestartPolicy
from contract.messages.report import Terminated
from contract.messages.stream import (
    AttachOpen,
    ForwardOpen,
    StreamClose,
    StreamOpened,
    StreamRead,
    StreamTaken,
    StreamWrite,
)


async def attach(rig: Rig, plan: PodPlan) -> tuple[str, StreamOpened]:
    name = uuid.uuid4().hex
    command = AttachOpen(
        stream=name, namespace=plan.namespace, pod=plan.name, container="c", stdin=True
    )
    return name, await rig.peer.ask(command)


async def write(rig: Rig, name: str, offset: int, data: bytes, *, end: bool = False) -> StreamTaken:
    command = StreamWrite(stream=name, offset=offset, data=data, end=end)
    return await rig.peer.ask(command, timeout_s=10)


async def reading(rig: Rig, **more: Any) -> PodPlan:
    plan = rig.plan("echo", stdin=True, restart_policy=RestartPolicy.NEVER, **more)
    await rig.peer.apply(plan)
    await rig.peer.running(plan)
    return plan


async def test_stdin_is_written_once_and_ends_with_its_writer(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = await reading(rig, stdin_once=True)
        name, opened = await attach(rig, plan)
        assert opened.cursor
        content = b"".join(b"%07d\n" % number for number in range(30_000))
        await write(rig, name, 0, content[:5000])
        offset = 0
        while offset < len(content):  # the first bytes come twice, and again where none were taken
            piece = content[offset : offset + 100_000]
            offset = (await write(rig, name, offset, piece)).offset
        assert (await write(rig, name, offset, b"", end=True)).closed
        assert (await rig.peer.stopped(plan)).exit_code == 0
        assert await rig.peer.log(plan) == content.decode()


async def test_stdin_outlives_its_writer_unless_it_is_wanted_once(tmp_path: Path) -> None:
    async with executor_rig(tmp_path) as rig:
        plan = await reading(rig)
        first, _ = await attach(rig, plan)
        await write(rig, first, 0, b"one\n", end=True)
        await rig.peer.ask(StreamClose(stream=first))
        await kill_supervisor(rig)
        second, _ = await attach(rig, plan)
        await write(rig, second, 0, b"two\n")

        async def both() -> bool:
            return await rig.peer.log(plan) == "one\ntwo\n"

        while not await both():
            pass
        seen = rig.peer.container(plan)
        assert seen is not None
        assert not isinstance(seen.state, Terminated)


async def test_a_port_is_forwarded_to_the_pod_that_holds_it_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign, socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
        free.close()
        async with executor_rig(tmp_path, GUEST_SOCKETS="true") as rig:
            plan = rig.plan("listener", str(port))
            await rig.peer.apply(plan)
            await rig.peer.running(plan)
            assert await rig.peer.line(plan) == "listening\n"

            async def forward(to: int, pod: str = "p", uid: str = "") -> str:
                name = uuid.uuid4().hex
                await rig.peer.ask(
                    ForwardOpen(stream=name, namespace="default", pod=pod, uid=uid, port=to)
                )
                return name

            name = await forward(port)
            await write(rig, name, 0, b"GET / HTTP/1.0\r\n\r\n", end=True)
            said, number = b"", 0
            while True:
                ask = StreamRead(stream=name, number=number, wait_s=5)
                chunk = await rig.peer.ask(ask, timeout_s=10)
                said, number = said + chunk.out, number + 1
                if chunk.end is not None:
                    break
            assert said.startswith(b"HTTP/1.0 200")
            await forward(0)
            with pytest.raises(CommandError, match="is not held by a process of this pod"):
                await forward(foreign.getsockname()[1])
            with pytest.raises(CommandError, match="connection refused"):
                await forward(1)
            with pytest.raises(CommandError, match="pod does not exist"):
                await forward(0, pod="q")
            with pytest.raises(CommandError, match="pod not found"):
                await forward(0, uid="another")
