"""One set of engine settings for everybody.

An AOT artifact loads only into an engine with the settings that it was compiled with. The
compile job and the container process are different processes, so both take their engine from
here, and the fingerprint names these settings in the key of the AOT cache.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from wasmtime import Config, Engine
from wasmtime import _ffi as wasmtime_c

type Setting = bool | str

SETTINGS: Final[dict[str, Setting]] = {
    # Winch has had sandbox escapes.
    "strategy": "cranelift",
    "cranelift_opt_level": "speed",
    # Guests are stopped by ending their process: an epoch does not wake a blocked host call.
    "epoch_interruption": False,
    "consume_fuel": False,
    # Only debuggers read it; without it artifacts are smaller and load faster.
    "native_unwind_info": False,
    # Data segments are mapped from the artifact file: pods of one image share them.
    "memory_init_cow": True,
    # Guests of WASI 0.2 have one task. With it, 50.0.1 traps where a guest lends a host function of
    # ours two handles at once ("deferred host scope has no call context").
    "concurrency_support": False,
}


def new_engine(pool: Mapping[str, int] | None = None) -> Engine:
    """Make an engine; it starts no thread before something is compiled with it.

    With a pool (by the names of wasmtime's pooling allocator), instances lie in memory that is
    mapped once; code that was compiled without one runs there, too.
    """
    config = Config()
    for name, value in SETTINGS.items():
        if name == "concurrency_support":  # the binding has no name for it
            wasmtime_c.wasmtime_config_concurrency_support_set(config.ptr(), value)
        else:
            setattr(config, name, value)
    if pool is not None:
        _set_pool(config, pool)
    return Engine(config)


def _set_pool(config: Config, sizes: Mapping[str, int]) -> None:
    """The binding has no names for a pool, either."""
    pool = wasmtime_c.wasmtime_pooling_allocation_config_new()
    for name, size in sizes.items():
        getattr(wasmtime_c, f"wasmtime_pooling_allocation_config_{name}_set")(pool, size)
    wasmtime_c.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    wasmtime_c.wasmtime_pooling_allocation_config_delete(pool)


def engine_fingerprint() -> str:
    """Name this engine for the AOT cache: two equal names load one another's artifacts.

    Imports late: the zygote, which every container is a fork of, never calls it.
    """
    import hashlib
    import platform
    from importlib.metadata import version

    named = repr((sorted(SETTINGS.items()), cpu_features())).encode()
    digest = hashlib.sha256(named).hexdigest()[:12]
    return f"wasmtime-{version('wasmtime')}-{platform.machine()}-{digest}"


def cpu_features() -> str:
    """Cranelift uses what this CPU has; a data directory may move to another machine."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
