"""What a supervisor sees of a container, through a real keeper and a real zygote."""

import asyncio
import signal
from collections.abc import Callable

import msgspec
import pytest
from keeper_rig import KeeperProcess, is_alive, wait_until

from wasm_executor.container.plan import StartFailureReason
from wasm_executor.keeper.errors import (
    ContainerInUseError,
    StartFailedError,
    UnknownContainerError,
)


async def test_guest_ends_with_its_own_code_and_its_lines_are_in_the_log(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        exit_, container = await supervisor.run("hello")
        assert (exit_.code, exit_.signal, exit_.trap) == (3, None, None)
        assert container.content("stdout") == "hello\nworld\n"
        assert container.content("stderr") == "oh\n"
        assert container.started_at == exit_.started_at <= exit_.at


async def test_guest_that_returns_ends_with_zero(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        exit_, _ = await supervisor.run("returns")
        assert exit_.code == 0


async def test_guest_gets_its_arguments_and_only_its_own_environment(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        _, container = await supervisor.run("environ", "-v", GREETING="good day")
        assert container.content() == "environ\0-v\0GREETING=good day\0"


async def test_trap_is_code_134_and_told_in_wasmtimes_words(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        exit_, container = await supervisor.run("trap")
        assert exit_.code == 134
        assert exit_.trap is not None
        assert "wasm `unreachable` instruction executed" in exit_.trap
        assert container.content("stdout") == "before"
        assert exit_.trap in container.content("stderr")
        row = await supervisor.row(container.key)
        assert row is not None
        assert row.exit == exit_


@pytest.mark.parametrize(
    ("guest", "code"),
    [("component_ok", 0), ("component_error", 1), ("component_exit", 1), ("component_trap", 134)],
)
async def test_wasi_02_command_ends_with_its_result(
    keeper: KeeperProcess, guest: str, code: int
) -> None:
    async with keeper.supervise() as supervisor:
        exit_, _ = await supervisor.run(guest)
        assert exit_.code == code


@pytest.mark.parametrize(
    ("guest", "named"),
    [
        ("no_start", "no function `_start`"),
        ("start_with_parameter", "`_start`"),
        ("missing_imports", "env::first, env::second"),
        ("component_no_run", "`wasi:cli/run`"),
        ("component_missing_import", "acme:store/buckets@1.0.0"),
    ],
)
async def test_guest_that_cannot_start_says_what_is_missing_and_leaves_no_row(
    keeper: KeeperProcess, guest: str, named: str
) -> None:
    async with keeper.supervise() as supervisor:
        with pytest.raises(StartFailedError, match=named):
            await supervisor.start(guest)
        assert await supervisor.row(supervisor.spec(guest).key) is None
        assert supervisor.client.exits.empty()


async def test_file_that_is_no_artifact_is_unusable(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        plan = supervisor.plan("sleep")
        bad = keeper.folder / "bad.cwasm"
        bad.write_bytes(b"\0asm\1\0\0\0")
        broken = msgspec.structs.replace(
            plan, artifact=msgspec.structs.replace(plan.artifact, path=str(bad))
        )
        with pytest.raises(StartFailedError) as failed:
            await supervisor.spawn(supervisor.spec("bad"), broken)
        assert failed.value.reason is StartFailureReason.ARTIFACT_UNUSABLE


async def test_sigterm_ends_a_guest_at_once_with_143(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        container = await supervisor.start("sleep")
        await supervisor.client.signal(container.key, signal.SIGTERM)
        exit_ = await supervisor.next_exit()
        assert (exit_.code, exit_.signal) == (143, signal.SIGTERM)
        assert not is_alive(container.pid)


async def test_guest_reads_end_of_file_at_once_unless_stdin_is_held(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        exit_, _ = await supervisor.run("drain")
        assert exit_.code == 7
        held = await supervisor.spawn(
            supervisor.spec("held", hold_stdin=True), supervisor.plan("drain")
        )
        wait_until(lambda: held.content() == "ready\n")
        row = await supervisor.row(held.key)
        assert row is not None
        assert row.exit is None
        await supervisor.client.close_stdin(held.key)
        assert (await supervisor.next_exit()).code == 7
        assert held.content() == "ready\ndrained\n"


async def test_engine_limit_is_a_quarter_above_the_containers(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        pages = 64 * 1024
        plan = supervisor.plan("grow", memory_limit_bytes=80 * pages)
        await supervisor.spawn(supervisor.spec("grow"), plan)
        assert (await supervisor.next_exit()).code == 100


async def test_ended_container_stays_listed_until_it_is_forgotten(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        exit_, container = await supervisor.run("hello")
        row = await supervisor.row(container.key)
        assert row is not None
        assert row.exit == exit_
        with pytest.raises(ContainerInUseError):
            await supervisor.start("hello")
        await supervisor.client.forget(container.key)
        assert await supervisor.row(container.key) is None
        with pytest.raises(UnknownContainerError):
            await supervisor.client.forget(container.key)
        await supervisor.run("hello")


async def test_running_container_cannot_be_forgotten(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        container = await supervisor.start("sleep")
        with pytest.raises(ContainerInUseError):
            await supervisor.client.forget(container.key)
        assert is_alive(container.pid)


async def test_signal_to_an_ended_container_reaches_nobody(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        _, container = await supervisor.run("hello")
        await supervisor.client.signal(container.key, signal.SIGKILL)
        with pytest.raises(UnknownContainerError):
            await supervisor.client.signal("uid/nobody/0", signal.SIGKILL)


async def test_exit_is_told_only_after_the_last_line(
    start_keeper: Callable[..., KeeperProcess],
) -> None:
    """The pipe still holds many turns' worth when the process has long ended."""
    keeper = start_keeper(WASMLET_KEEPER_PIPE_BYTES=str(1024 * 1024))
    async with keeper.supervise() as supervisor:
        lines = 90_000
        for turn in range(3):
            container = await supervisor.start("counter", str(lines), name=f"counter{turn}")
            await supervisor.next_exit()
            assert container.content().endswith(f"{lines - 1:010}\n")


async def test_every_spawn_of_a_burst_starts_and_has_a_row(keeper: KeeperProcess) -> None:
    async with keeper.supervise() as supervisor:
        async with asyncio.TaskGroup() as spawns:
            started = [
                spawns.create_task(supervisor.start("sleep", name=f"s{n}")) for n in range(100)
            ]
        rows = await supervisor.client.containers()
        assert {row.key: row.pid for row in rows} == {
            task.result().key: task.result().pid for task in started
        }
        assert len({row.pid for row in rows}) == 100
