"""What one container's process has of another's, and of the executor's: nothing."""

import asyncio
import os
import resource
import secrets
from contextlib import suppress
from pathlib import Path

import pytest
from keeper_rig import (
    KeeperProcess,
    descriptors,
    files_below,
    proc,
    status_field,
    wait_until,
)

from wasm_executor.container.seccomp import can_restrict_calls
from wasm_executor.zygote.forking import DESCRIPTORS, NONE_OF, SPARES

traces = bool(int(status_field(os.getpid(), "CapEff"), 16) >> 19 & 1)
tracer = pytest.mark.skipif(
    not traces, reason="needs CAP_SYS_PTRACE: a container's process is not dumpable"
)


def memory_holds(pid: int, marker: bytes) -> bool:
    """Search every readable mapping of a process."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, mode, *_ = line.split()
            if not mode.startswith("r") or line.endswith("[vvar]") or "[vvar" in line:
                continue
            first, last = (int(address, 16) for address in span.split("-"))
            try:
                memory.seek(first)
                if marker in memory.read(last - first):
                    return True
            except OSError:
                continue  # a hole, or the kernel's own page
    return False


@tracer
async def test_secret_of_a_container_is_in_no_other_process(keeper: KeeperProcess) -> None:
    secret = secrets.token_hex(24)
    async with keeper.supervise() as supervisor:
        before = await supervisor.start("sleep", name="before")
        holder = await supervisor.start("sleep", name="holder", PASSWORD=secret)
        after = await supervisor.start("sleep", name="after")
        assert memory_holds(holder.pid, secret.encode())
        for pid in (before.pid, after.pid, keeper.zygote_pid(), keeper.pid):
            assert not memory_holds(pid, secret.encode())


@tracer
async def test_secret_is_in_no_command_line_and_no_file(keeper: KeeperProcess) -> None:
    secret = secrets.token_hex(24)
    async with keeper.supervise() as supervisor:
        holder = await supervisor.start("sleep", PASSWORD=secret)
        for place in ("cmdline", "environ"):
            assert secret.encode() not in proc(holder.pid, place)
        written = files_below(keeper.folder)
        assert written
        assert not any(secret.encode() in content for content in written.values())


@pytest.mark.skipif(traces, reason="CAP_SYS_PTRACE reads everything")
async def test_memory_of_a_container_is_closed_to_its_own_user(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        container = await supervisor.start("sleep")
        with pytest.raises(PermissionError):
            memory_holds(container.pid, b"")


async def test_random_bytes_of_two_containers_differ(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        async with asyncio.TaskGroup() as spawns:
            started = [
                spawns.create_task(supervisor.start("random", name=f"r{n}")) for n in range(8)
            ]
        for _ in started:
            await supervisor.next_exit()
        seen = {task.result().content() for task in started}
        assert len(seen) == 8
        assert all(len(bytes.fromhex(said)) == 32 for said in seen)


@tracer
async def test_container_holds_its_own_descriptors_only(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        await supervisor.start("sleep", name="other")
        container = await supervisor.start("sleep")
        targets = descriptors(container.pid)
        assert not [target for target in targets if target.startswith("socket:")]
        ours = [target for target in targets if target.startswith("/")]
        assert {Path(target).name for target in ours} == {
            "sleep.cwasm",
            "uid_sleep_0.json",
        }


async def test_container_gives_up_what_it_does_not_need(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        container = await supervisor.start("sleep")
        assert status_field(container.pid, "NoNewPrivs") == "1"
        assert status_field(container.pid, "Seccomp") == ("2" if can_restrict_calls() else "0")
        for held in ("CapInh", "CapPrm", "CapEff", "CapAmb", *(["CapBnd"] if traces else [])):
            assert int(status_field(container.pid, held), 16) == 0
        assert status_field(container.pid, "THP_enabled") == "0"
        assert int(proc(container.pid, "oom_score_adj")) > int(proc(keeper.pid, "oom_score_adj"))
        assert os.getsid(container.pid) == container.pid
        assert os.getpgid(container.pid) == container.pid


@tracer
async def test_executors_settings_reach_neither_zygote_nor_container(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        container = await supervisor.start("sleep")
        for nothing_of in NONE_OF:
            assert resource.prlimit(container.pid, nothing_of) == (0, 0)
        assert resource.prlimit(container.pid, resource.RLIMIT_NOFILE)[1] <= DESCRIPTORS
        for pid in (keeper.zygote_pid(), container.pid):
            assert b"WASMLET_" not in proc(pid, "environ")


@tracer
async def test_zygote_has_one_thread_one_socket_and_a_pipe_per_spare_after_many_forks(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        async with asyncio.TaskGroup() as spawns:
            for number in range(20):
                spawns.create_task(supervisor.start("sleep", name=f"s{number}"))
        zygote = keeper.zygote_pid()
        assert status_field(zygote, "Threads") == "1"
        held = list[str]()

        def is_at_rest() -> bool:
            with suppress(FileNotFoundError):  # one was closed as we looked
                held[:] = descriptors(zygote)
                return len(held) <= SPARES + 1
            return False

        wait_until(is_at_rest)
        kinds = [each.split(":")[0] for each in held]
        assert set(kinds) == {"pipe", "socket"}
        assert kinds.count("socket") == 1


@tracer
async def test_idle_container_keeps_less_than_900_kilobytes_to_itself(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        for number in range(5):
            container = await supervisor.start("sleep", name=f"s{number}")
        rollup = proc(container.pid, "smaps_rollup").decode()
        private = {
            line.split(":")[0]: int(line.split()[1])
            for line in rollup.splitlines()
            if line.startswith("Private_")
        }
        assert sum(private.values()) < 900
