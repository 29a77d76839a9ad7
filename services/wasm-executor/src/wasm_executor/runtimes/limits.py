"""What one instance may have, by its container's memory limit: the engine's own bounds."""

from typing import Final

from wasmtime import Store

from wasm_executor.container.plan import ProcessPlan

ENGINE_LIMIT_FACTOR: Final = 1.25
"""Above the container's limit: whoever watches memory kills first and says OOMKilled."""
MAX_MEMORIES: Final = 32
MAX_TABLES: Final = 128
MAX_INSTANCES: Final = 512
MAX_TABLE_ELEMENTS: Final = 10_000_000
"""What browsers allow."""
TABLE_ELEMENT_BYTES: Final = 8


def memory_ceiling(plan: ProcessPlan) -> int | None:
    """Return what one memory may have; the sum of several is the memory watch's to see."""
    limit = plan.memory_limit_bytes
    return None if limit is None else int(limit * ENGINE_LIMIT_FACTOR)


def limits_of(ceiling: int | None) -> tuple[int, int, int, int, int]:
    """Return what one store may have: of memory, table elements, instances, tables, memories."""
    elements = MAX_TABLE_ELEMENTS
    if ceiling is not None:
        elements = min(elements, ceiling // TABLE_ELEMENT_BYTES)
    memory = -1 if ceiling is None else ceiling
    return memory, elements, MAX_INSTANCES, MAX_TABLES, MAX_MEMORIES


def limit_store(store: Store, ceiling: int | None) -> None:
    """Hold a store to it."""
    store.set_limits(*limits_of(ceiling))
