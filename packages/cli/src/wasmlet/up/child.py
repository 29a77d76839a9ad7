"""One service as a child process: restarted with back-off, its lines prefixed, ended with us."""

import asyncio
import ctypes
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping

import msgspec

from wasmlet.errors import ServiceRefusedError
from wasmlet.telling import say

RESTART_FIRST_S = 0.5
RESTART_MOST_S = 10.0
RESTART_RESET_S = 30.0
WRONG_SETTING = 2
"""The exit code of a service whose settings are wrong: starting it again would not help."""
REMEMBERED_LINES = 20
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1


class ChildCommand(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `settings` are the WASMLET_* variables of this process alone."""

    name: str
    module: str
    settings: Mapping[str, str]
    stop_timeout_s: float = 10.0


class Child:
    """One service, kept running until `stop`."""

    def __init__(
        self, command: ChildCommand, environ: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self.command = command
        self._environ = {**environ, **command.settings}
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._lines = deque[str](maxlen=REMEMBERED_LINES)
        self._wake = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The running process, None between two runs."""
        return self._process.pid if self._process else None

    async def run(self) -> None:
        """Keep the service running; return once it has ended after `stop`.

        Raises `ServiceRefusedError` when the service says that its settings are wrong.
        """
        pause = RESTART_FIRST_S
        while not self._stopping:
            started = time.monotonic()
            code = await self._run_once()
            if self._wake.is_set():
                return
            if code == WRONG_SETTING:
                raise ServiceRefusedError(f"{self.command.name} cannot start: {self._refusal()}")
            if time.monotonic() - started > RESTART_RESET_S:
                pause = RESTART_FIRST_S
            self._say(f"{self.command.name} ended with {code}; starting it again in {pause:g} s")
            await self._pause(pause)
            pause = min(pause * 2, RESTART_MOST_S)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _run_once(self) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self.command.module,
            env=self._environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # A Ctrl-C at the terminal is ours to pass on, in order.
            start_new_session=True,
            preexec_fn=_die_with_parent,
            limit=1 << 20,
        )
        self._process = process
        assert process.stdout is not None
        if self._stopping:
            process.terminate()
        try:
            await self._pass_lines(process.stdout)
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            self._process = None

    async def _pass_lines(self, output: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await output.readline()
            except ValueError:  # a line beyond the limit: asyncio has dropped it
                continue
            if not line:
                return
            self._lines.append(line.decode(errors="replace").rstrip("\n"))
            self._say(self._lines[-1])

    def _refusal(self) -> str:
        """Return its own word for it; an executor's keeper says more after that."""
        start = f"{self.command.module.replace('_', '-')}: "
        own = [line.removeprefix(start) for line in self._lines if line.startswith(start)]
        return (own or [*self._lines, ""])[-1]

    async def stop(self) -> None:
        """Ask the service to end, and end it when it does not within its time."""
        self._stopping = True
        self._wake.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(self.command.stop_timeout_s):
                await process.wait()
        except TimeoutError:
            self._say(f"{self.command.name} did not end in time; killing it")
            process.kill()


class Prefixer:
    """Writes lines of several sources to one stream, each with its coloured name."""

    def __init__(self, *, colour: bool, width: int) -> None:
        self._colour = colour
        self._width = width
        self._seen: dict[str, int] = {}

    def writer(self, name: str) -> Callable[[str], None]:
        """Return what writes this source's lines."""
        number = self._seen.setdefault(name, _COLOURS[len(self._seen) % len(_COLOURS)])
        label = f"{name:<{self._width}} |"
        if self._colour:
            label = f"\x1b[{number}m{label}\x1b[0m"

        def write(line: str) -> None:
            say(f"{label} {line}")

        return write


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
