"""A wall clock that a test sets, for the processes that are started with it and for nobody else.

A library of a few lines stands between them and the C library and adds what a file says at each
look. Monotonic clocks stay the kernel's, as on a machine whose clock is set. What asks the kernel
without the C library keeps the right time: programs in Go (nats-server and the control plane), and
the times of files. (Debian's libfaketime 0.9.10 will not do: under it, Python's `time.sleep` fails
with EINVAL where the monotonic clock is left alone.)
"""

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")
COMPILER = shutil.which("cc")


class SteppingClock:
    """Right at first. Whoever is started with `environment` has it."""

    def __init__(self, folder: Path) -> None:
        self._library = folder / "stepping_clock.so"
        flags = ("-shared", "-fPIC", "-O1", "-Wall", "-Werror")
        assert COMPILER is not None
        assert not set(" :") & set(str(folder)), "LD_PRELOAD is a list, divided by these"
        subprocess.run([COMPILER, *flags, "-o", self._library, SOURCE], check=True)
        self._file = folder / "ahead"
        self._file.write_bytes(bytes(struct.calcsize("q")))
        self.ahead_s = 0

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "STEPPING_CLOCK": str(self._file)}

    def set(self, ahead_s: int) -> None:
        """So many seconds ahead of the others' clocks, from now on."""
        with self._file.open("r+b") as file, mmap.mmap(file.fileno(), 0) as ahead:
            ahead[:] = struct.pack("q", ahead_s)
        self.ahead_s = ahead_s
