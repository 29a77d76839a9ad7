"""`python -m realnode.first_process FOLDER`: the first process of a node's namespaces.

What a kubelet and a container runtime write outside their own folders is kept from this machine:
they see folders of FOLDER where theirs have fixed names, and numbers in place of the kernel's
settings that a kubelet would change. It reaps what is left to it, until it is killed.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

READY: Final = "ready"
# What a kubelet insists on; it writes what it finds to be otherwise, for the whole machine.
_KERNEL: Final = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}


def main() -> None:
    folder = Path(sys.argv[1])
    _mount("--make-rshared", "/")
    _mount("-t", "tmpfs", "-o", "mode=755", "node", "/run")
    for place in ("/var/lib", "/var/log"):
        own = folder / place.strip("/")
        own.mkdir(parents=True)
        _mount("--bind", str(own), place)
    for name, value in _KERNEL.items():
        shown = folder / "kernel" / name
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_text(f"{value}\n")
        _mount("--bind", str(shown), f"/proc/sys/{name}")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")  # of the network namespace
    (folder / READY).touch()
    _reap()


def _reap() -> None:
    # Blocked, so that one that comes between the look and the wait is not lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
        signal.sigwait({signal.SIGCHLD})


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()
