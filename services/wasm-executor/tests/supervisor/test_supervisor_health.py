"""The local socket by which a log-server on this host asks whether the executor lives."""

import asyncio
import os
from pathlib import Path

from executor_rig import Rig, executor_rig


async def answer(rig: Rig, folder: Path | None = None) -> bytes:
    """Connect as soon as something listens, and return the line."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await answer_now(folder or rig.executor.run_dir)
            except (FileNotFoundError, ConnectionRefusedError):
                await asyncio.sleep(0.02)


async def answer_now(folder: Path) -> bytes:
    opened = os.open(folder, os.O_PATH)
    try:
        reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{opened}/health.sock")
    finally:
        os.close(opened)
    line = await reader.readline()
    writer.close()
    return line


async def test_the_socket_answers_for_a_granted_executor_also_while_the_bus_is_away(
    tmp_path: Path,
) -> None:
    async with executor_rig(tmp_path) as rig:
        assert await answer(rig) == b"ok\n"
        assert (rig.executor.run_dir / "health.sock").stat().st_mode & 0o777 == 0o600
        rig.nats.kill()
        assert await answer(rig) == b"ok\n"


async def test_an_executor_without_its_name_does_not_count_as_alive(tmp_path: Path) -> None:
    async with executor_rig(tmp_path, grant=False) as rig:
        assert await answer(rig) == b"the node name is not granted\n"


async def test_the_socket_may_lie_apart_from_the_plans(tmp_path: Path) -> None:
    folder = tmp_path / "shown"
    folder.mkdir()
    async with executor_rig(tmp_path, HEALTH_FOLDER=str(folder)) as rig:
        assert await answer(rig, folder) == b"ok\n"
        assert not (rig.executor.run_dir / "health.sock").exists()
