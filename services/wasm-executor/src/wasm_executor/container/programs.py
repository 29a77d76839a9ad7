"""What a container's process may see and do that becomes a runtime program of this machine.

It may start that program and what its file names, and read the machine's libraries. The guest's
folders are the same as under any runtime, and the walls stand while the program runs: they are the
process's. What only a runtime can hold (hosts, ports, what its guest sees of its variables) is that
program's to hold.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from wasm_executor.container.needs import ALL_SOCKETS, NOTHING, Need, Needs
from wasm_executor.container.plan import External

LIBRARIES: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib", "/lib64")
ALWAYS_READ: Final = ("/etc/ld.so.cache", "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_LOADERS: Final = (
    ("/lib64", "ld-linux*.so.*"),
    ("/lib", "ld-linux*.so.*"),
    ("/lib", "ld-musl-*.so.*"),
)
"""Started by the kernel for every program that is linked to libraries."""
_PROGRAM: Final[Needs] = frozenset({Need.PROGRAM})
_NETWORKS: Final[dict[str, Needs]] = {
    "none": NOTHING,
    "listen": frozenset({Need.SERVE, Need.LISTEN}),
    "all": ALL_SOCKETS,
}


def needs_of_program(external: External) -> Needs:
    return _PROGRAM | _NETWORKS[external.network]


def also_read(external: External) -> tuple[str, ...]:
    """Return what is read beside the plan's own files."""
    return (*LIBRARIES, *ALWAYS_READ, *external.reads)


def not_below(paths: Iterable[str], folders: Iterable[str]) -> Iterator[str]:
    """Leave out what is there with one of the folders."""
    within = tuple(folders)
    return (
        path
        for path in paths
        if not any(path == each or path.startswith(f"{each}/") for each in within)
    )


def also_run(external: External | None, *, with_libraries: bool = False) -> tuple[str, ...]:
    """Return what is started, and if asked for what is mapped as code."""
    if external is None:
        return ()
    loaders = (
        os.path.realpath(found) for folder, name in _LOADERS for found in Path(folder).glob(name)
    )
    run = tuple(dict.fromkeys((external.program, *external.runs, *loaders)))
    return tuple(_outermost((*LIBRARIES, *run))) if with_libraries else run


def _outermost(paths: Iterable[str]) -> Iterator[str]:
    """Leave out what lies below another one: it is there with it."""
    all_paths = tuple(paths)
    for path in all_paths:
        if not any(path.startswith(f"{other}/") for other in all_paths):
            yield path
