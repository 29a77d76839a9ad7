"""Memory for a handler's instances, mapped once: a fresh one for each request maps nothing anew.

What an instance has written is given back to the kernel when it ends, before another one gets its
place. A place is address space only until somebody uses it. A component that needs more of
something than one place has, or more instances side by side than there are places, runs without; so
does everything where there is not so much address space.
"""

import mmap
from collections.abc import Mapping
from typing import Final

PLACES: Final = 64
"""Requests that may be under way at once in a worker of the pool."""
_MEMORIES: Final = 4
_TABLES: Final = 8
_CORE_INSTANCES: Final = 32
_ELEMENTS: Final = 20_000
"""Of a table. All tables together are 80 MiB that a kernel without overcommit counts."""
_WARM: Final = 4

_MEMORY_SPAN: Final = (4 << 30) + (64 << 20)
"""Addresses of one memory, with the guards around it."""

POOL: Final[Mapping[str, int]] = {
    "total_component_instances": PLACES,
    "max_memories_per_component": _MEMORIES,
    "total_memories": PLACES * _MEMORIES,
    "max_tables_per_component": _TABLES,
    "total_tables": PLACES * _TABLES,
    "table_elements": _ELEMENTS,
    # Of a table so much is cleared, not given back: most have less, and it costs no fault.
    "table_keep_resident": 16 * 1024,
    "max_core_instances_per_component": _CORE_INSTANCES,
    "total_core_instances": PLACES * _CORE_INSTANCES,
    "max_unused_warm_slots": _WARM,
    "total_stacks": 0,
    "total_gc_heaps": 0,
}
"""For one component each, as `new_engine` takes it."""


def pool_here() -> Mapping[str, int] | None:
    """Return the pool if this process may have its addresses: without them wasmtime aborts."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE
    span = PLACES * _MEMORIES * _MEMORY_SPAN
    tables = PLACES * _TABLES * _ELEMENTS * 8
    try:
        mmap.mmap(-1, span, flags=flags, prot=0).close()
        mmap.mmap(-1, tables, flags=flags).close()
    except (OSError, ValueError):
        return None
    return POOL
