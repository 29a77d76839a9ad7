"""Why a guest does not start, said alike by all runtimes that wasmtime is under."""

from collections.abc import Iterable
from typing import Final

from wasmtime import WasmtimeError

from podspec.interfaces import VERSION, wasi_of
from wasm_executor.container.plan import StartFailureReason
from wasm_executor.runtimes.errors import GuestNotStartedError

NO_INSTANCES: Final = "instance count too high"
"""What wasmtime says where everything is linked and the first instance would be made."""


def unusable(error: WasmtimeError) -> GuestNotStartedError:
    """The artifact does not load."""
    return GuestNotStartedError(StartFailureReason.ARTIFACT_UNUSABLE, str(error).rstrip())


def no_entry(message: str) -> GuestNotStartedError:
    """There is nothing to call."""
    return GuestNotStartedError(StartFailureReason.NOT_A_COMMAND, message)


def other_wasi(verb: str, names: Iterable[str]) -> GuestNotStartedError | None:
    """Say what a component imports or exports of a WASI that is not spoken here, if anything."""
    others = [f"`{name}`" for name in names if wasi_of(name) not in (None, VERSION)]
    if not others:
        return None
    told = f"the component {verb} {', '.join(others)}: this runtime speaks WASI {VERSION}.x"
    return no_entry(told)


def not_linked(error: Exception, missing: tuple[str, ...]) -> GuestNotStartedError:
    """An import that nobody provides, or another reason that wasmtime has."""
    if missing:
        message = "nothing provides what the module imports: " + ", ".join(missing)
        return GuestNotStartedError(StartFailureReason.NOT_A_COMMAND, message)
    return GuestNotStartedError(StartFailureReason.INSTANTIATION_FAILED, str(error).rstrip())
