"""Where a start ends and a guest's own life begins: no code of a guest runs before it is told."""

import asyncio
import os
import signal
from pathlib import Path

import msgspec
import pytest
from keeper_rig import DEADLINE_S, KeeperProcess, is_alive, proc

from wasm_executor.keeper.client import Spawned
from wasm_executor.keeper.errors import StartFailedError


@pytest.mark.parametrize("guest", ["loop_at_instantiation", "component_loop_at_instantiation"])
async def test_guest_that_never_comes_out_of_its_start_section_has_started_and_can_be_killed(
    keeper: KeeperProcess, guest: str
) -> None:
    async with keeper.supervise() as supervisor:
        container = await supervisor.start(guest)
        assert is_alive(container.pid)
        await supervisor.client.signal(container.key, signal.SIGTERM)
        assert (await supervisor.next_exit()).code == 143


@pytest.mark.parametrize(
    ("guest", "arguments", "code"),
    [
        ("exit_at_instantiation", (), 3),
        ("exit_at_instantiation", ("zero",), 0),
        ("component_exit_at_instantiation", (), 1),
    ],
)
async def test_guest_that_leaves_in_its_start_section_ends_with_its_own_code(
    keeper: KeeperProcess, guest: str, arguments: tuple[str, ...], code: int
) -> None:
    async with keeper.supervise() as supervisor:
        exit_, _ = await supervisor.run(guest, *arguments)
        assert (exit_.code, exit_.trap, exit_.failure) == (code, None, None)


async def test_trap_in_a_start_section_is_the_guests_own(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        exit_, container = await supervisor.run("trap_at_instantiation")
        assert (exit_.code, exit_.failure) == (134, None)
        assert exit_.trap is not None
        assert "unreachable" in exit_.trap
        assert "unreachable" in container.content("stderr")


async def test_memory_that_nobody_sees_and_is_above_the_limit_is_a_trap(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        plan = supervisor.plan("hidden_memory", memory_limit_bytes=1024 * 1024)
        await supervisor.spawn(supervisor.spec("hidden"), plan)
        exit_ = await supervisor.next_exit()
        assert exit_.code == 134
        assert exit_.trap is not None
        assert "exceeds memory limits" in exit_.trap


@pytest.mark.parametrize("limit", [None, 1 << 30])
async def test_guest_cannot_have_memories_without_number(
    keeper: KeeperProcess, limit: int | None
) -> None:
    async with keeper.supervise() as supervisor:
        plan = supervisor.plan("countless_memories", memory_limit_bytes=limit)
        await supervisor.spawn(supervisor.spec("countless"), plan)
        exit_ = await supervisor.next_exit()
        assert exit_.trap is not None
        assert "memory count too high" in exit_.trap


@pytest.mark.parametrize(
    ("arguments", "environment", "named"),
    [
        (("whole", "cut\0off"), {}, "argument 2"),
        ((), {"WHOLE": "1", "CUT": "o\0ff"}, "environment variable 'CUT'"),
    ],
)
async def test_what_would_reach_the_guest_cut_is_named_and_does_not_start(
    keeper: KeeperProcess, arguments: tuple[str, ...], environment: dict[str, str], named: str
) -> None:
    async with keeper.supervise() as supervisor:
        plan = supervisor.plan("environ", *arguments, env=environment)
        with pytest.raises(StartFailedError, match=f"^a NUL character is in {named}$"):
            await supervisor.spawn(supervisor.spec("cut"), plan)


async def test_process_that_is_killed_with_its_plan_is_a_run_that_ended(
    keeper: KeeperProcess, tmp_path: Path
) -> None:
    """Whatever kept it from its guest may keep the next one too: no second process is tried."""
    never_opens = tmp_path / "never-opens.cwasm"
    os.mkfifo(never_opens)
    async with keeper.supervise() as supervisor:
        spec, plan = supervisor.spec("killed"), supervisor.plan("hello")
        artifact = msgspec.structs.replace(plan.artifact, path=str(never_opens))

        async def kill_it(spawned: Spawned) -> None:
            while b"wait_for_partner" not in proc(spawned.pid, "wchan"):
                await asyncio.sleep(0.005)
            await supervisor.client.signal(spec.key, signal.SIGKILL)

        async with asyncio.timeout(DEADLINE_S):
            stuck = msgspec.structs.replace(plan, artifact=artifact)
            spawned = await supervisor.client.spawn(spec, stuck, kill_it)
        exit_ = await supervisor.next_exit()
        assert (exit_.key, exit_.code, exit_.signal) == (spec.key, 137, signal.SIGKILL)
        assert not is_alive(spawned.pid)
