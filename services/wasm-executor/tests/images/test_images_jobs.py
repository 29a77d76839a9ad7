"""Jobs: one per content however many ask, never left behind, nothing heavy in the supervisor."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import pytest

from contract.messages.pull import PullPolicy
from wasm_executor.images.errors import ImagePullError
from wasm_executor.images.jobs import PullLimits
from wasm_executor.images.puller import ImageService
from wasm_executor.images.singleflight import SingleFlight

ALWAYS = PullPolicy.ALWAYS
DEADLINE_S = 20.0

type OpenImages = Callable[..., AbstractAsyncContextManager[ImageService]]


class SilentRegistry:
    """Accepts connections, counts them, and never answers."""

    def __init__(self, server: asyncio.Server) -> None:
        self.host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self.connections = 0
        self.open = 0


@pytest.fixture
async def silent() -> AsyncIterator[SilentRegistry]:
    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        registry.connections += 1
        registry.open += 1
        with suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass
        registry.open -= 1
        writer.close()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    registry = SilentRegistry(server)
    yield registry
    server.close()


async def until(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not claim():
        assert time.monotonic() < deadline, "not within the deadline"
        await asyncio.sleep(0.01)


def pull_jobs(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, IndexError):
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes()
            if int(status[1]) == parent and b"images.pull_job" in command:
                found.append(int(folder.name))
    return found


def is_alive(pid: int) -> bool:
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_many_askers_share_one_pull_and_one_answer(
    open_images: OpenImages, silent: SilentRegistry
) -> None:
    limits = PullLimits(stall_timeout_s=1.0)
    image = f"{silent.host}/app"
    async with (
        open_images(insecure_registries=(silent.host,), pull_limits=limits) as images,
        asyncio.TaskGroup() as tasks,
    ):

        async def ask() -> str:
            with pytest.raises(ImagePullError) as caught:
                await images.ensure(image, ALWAYS)
            return caught.value.message

        asking = [tasks.create_task(ask()) for _ in range(50)]
        await until(lambda: silent.connections == 1)
        assert len(pull_jobs(os.getpid())) == 1
    assert len({task.result() for task in asking}) == 1
    assert "timeout awaiting response headers" in asking[0].result()
    assert silent.connections == 1


async def test_one_asker_less_does_not_end_the_pull_and_the_last_one_does(
    open_images: OpenImages, silent: SilentRegistry
) -> None:
    image = f"{silent.host}/app"
    async with (
        open_images(insecure_registries=(silent.host,)) as images,
        asyncio.TaskGroup() as tasks,
    ):
        first, second = (tasks.create_task(images.ensure(image, ALWAYS)) for _ in range(2))
        await until(lambda: silent.open == 1)
        (job,) = pull_jobs(os.getpid())
        first.cancel()
        await until(first.done)
        assert pull_jobs(os.getpid()) == [job]
        assert not second.done()
        second.cancel()
        await until(lambda: not is_alive(job))
    assert pull_jobs(os.getpid()) == []


async def test_a_new_asker_after_the_last_one_left_gets_a_new_pull(
    open_images: OpenImages, silent: SilentRegistry
) -> None:
    image = f"{silent.host}/app"
    async with (
        open_images(insecure_registries=(silent.host,)) as images,
        asyncio.TaskGroup() as tasks,
    ):
        first = tasks.create_task(images.ensure(image, ALWAYS))
        await until(lambda: silent.connections == 1)
        first.cancel()
        second = tasks.create_task(images.ensure(image, ALWAYS))
        await until(lambda: silent.connections == 2)
        second.cancel()


async def test_a_registry_gets_no_more_pulls_at_once_than_allowed(
    open_images: OpenImages, silent: SilentRegistry
) -> None:
    limits = PullLimits(stall_timeout_s=0.7)
    async with (
        open_images(
            insecure_registries=(silent.host,), pull_limits=limits, pulls_per_registry=2
        ) as images,
        asyncio.TaskGroup() as tasks,
    ):
        most = 0

        async def ask(number: int) -> None:
            with pytest.raises(ImagePullError):
                await images.ensure(f"{silent.host}/app{number}", ALWAYS)

        async def watch() -> None:
            nonlocal most
            while silent.connections < 4:
                most = max(most, len(pull_jobs(os.getpid())))
                await asyncio.sleep(0.01)

        for number in range(4):
            tasks.create_task(ask(number))
        tasks.create_task(watch())
    assert most == 2
    assert silent.connections == 4


OWNER = """
    import asyncio, sys
    from pathlib import Path
    from contract.messages.pod import PullPolicy
    from wasm_executor.images.puller import ImageService
    from wasm_executor.images.settings import ImageSettings

    async def main(root, host):
        settings = ImageSettings(root=Path(root), insecure_registries=(host,))
        async with asyncio.TaskGroup() as tasks:
            images = await ImageService.open(settings, tasks)
            await images.ensure(f"{host}/app", PullPolicy.ALWAYS)

    asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_job_ends_with_its_owner(
    silent: SilentRegistry, tmp_path: Path, how: signal.Signals
) -> None:
    script = textwrap.dedent(OWNER)
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path / "images"), silent.host
    )
    try:
        await until(lambda: silent.open == 1)
        (job,) = pull_jobs(owner.pid)
    finally:
        owner.send_signal(how)
        await owner.wait()
    await until(lambda: not is_alive(job))
    await until(lambda: silent.open == 0)


async def test_a_killed_job_is_an_error_and_leaves_no_partial_file(
    open_images: OpenImages, silent: SilentRegistry, tmp_path: Path
) -> None:
    async with (
        open_images(insecure_registries=(silent.host,)) as images,
        asyncio.TaskGroup() as tasks,
    ):

        async def ask() -> None:
            with pytest.raises(ImagePullError, match="the pull ended by signal 9"):
                await images.ensure(f"{silent.host}/app", ALWAYS)

        tasks.create_task(ask())
        await until(lambda: silent.open == 1)
        (job,) = pull_jobs(os.getpid())
        (tmp_path / "images" / "partial" / f"{job}-half").touch()
        os.kill(job, signal.SIGKILL)
    await until(lambda: not list((tmp_path / "images" / "partial").iterdir()))


async def test_the_environment_of_the_owner_does_not_reach_a_job(
    open_images: OpenImages, silent: SilentRegistry
) -> None:
    async with (
        open_images(insecure_registries=(silent.host,)) as images,
        asyncio.TaskGroup() as tasks,
    ):
        asking = tasks.create_task(images.ensure(f"{silent.host}/app", ALWAYS))
        await until(lambda: silent.open == 1)
        (job,) = pull_jobs(os.getpid())
        environment = (Path("/proc") / str(job) / "environ").read_bytes()
        asking.cancel()
    names = {entry.split(b"=")[0] for entry in environment.split(b"\0") if entry}
    assert names == {b"LANG", b"HOME"}


def test_the_supervisor_imports_neither_requests_nor_wasmtime() -> None:
    script = """
        import sys
        import wasm_executor.images.puller
        heavy = {"oras", "requests", "urllib3", "wasmtime", "jsonschema", "pydantic", "kubernetes"}
        print(sorted(heavy & set(sys.modules)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("job", "foreign"),
    [("fetching", "wasmtime"), ("inspection", "requests"), ("pull_job", "requests")],
)
def test_a_job_imports_only_what_it_needs(job: str, foreign: str) -> None:
    script = f"import sys, wasm_executor.images.{job}; print({foreign!r} in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


async def test_an_unforeseen_error_reaches_the_asker_and_not_the_group() -> None:
    async with asyncio.TaskGroup() as tasks:
        flights: SingleFlight[str, int] = SingleFlight(tasks, "test")

        async def fail() -> int:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await flights.do("key", fail)

        async def work() -> int:
            return 7

        assert await flights.do("key", work) == 7


async def test_askers_of_one_flight_are_served_by_one_piece_of_work() -> None:
    begun = 0
    gate = asyncio.Event()

    async def work() -> int:
        nonlocal begun
        begun += 1
        await gate.wait()
        return begun

    async with asyncio.TaskGroup() as tasks:
        flights: SingleFlight[str, int] = SingleFlight(tasks, "test")
        asked: list[Awaitable[int]] = [tasks.create_task(flights.do("a", work)) for _ in range(9)]
        await until(lambda: begun == 1)
        gate.set()
        assert [await each for each in asked] == [1] * 9
