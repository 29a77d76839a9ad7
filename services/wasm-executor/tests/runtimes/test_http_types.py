"""Components whose imports have types that are not WASI's: the host would read them wrongly."""

import pytest
from http_rig import serving
from keeper_rig import KeeperProcess
from typed_handlers import OTHERS, WASIS, handler

from wasm_executor.keeper.errors import StartFailedError
from wasm_executor.runtimes.wasihttp.guests import HOST_TYPES, KNOWN
from wasm_executor.runtimes.wasihttp.shapes import name_of

LATER = """
(component
  (import "{}" (instance (export "f" (func))))
  (core module $code (func (export "f") (result i32) i32.const 0))
  (core instance $instance (instantiate $code))
  (func $f (result (result)) (canon lift (core func $instance "f")))
  (instance $exports (export "{}" (func $f)))
  (export "{}" (instance $exports)))
"""


async def test_a_component_with_types_that_are_not_wasis_does_not_start(
    keeper: KeeperProcess,
) -> None:
    async with keeper.supervise() as supervisor:
        for number, (place, text, name) in enumerate(OTHERS.values()):
            keeper.compiler.add(f"other-{number}", handler(place, text))
            with pytest.raises(StartFailedError, match="types that are not WASI's") as caught:
                async with serving(supervisor, f"other-{number}"):
                    pass
            assert name in str(caught.value)
        keeper.compiler.add("wasis", handler(*WASIS))
        async with serving(supervisor, "wasis") as served:
            assert served.get("/").status == 500  # it starts, and gives no response


async def test_only_what_was_compared_with_these_very_types_is_not_compared_again(
    keeper: KeeperProcess,
) -> None:
    place, text, _ = OTHERS["a number for a handle"]
    fewer = {name: items for name, items in KNOWN.items() if name != "wasi:http/types"}
    async with keeper.supervise() as supervisor:
        for number, believed in enumerate(("", "1", name_of(fewer))):
            keeper.compiler.add(f"told-{number}", handler(place, text), host_types=believed)
            with pytest.raises(StartFailedError, match="types that are not WASI's"):
                async with serving(supervisor, f"told-{number}"):
                    pass
        keeper.compiler.add("compared", handler(place, text), host_types=HOST_TYPES)
        async with serving(supervisor, "compared") as served:
            assert served.get("/").status == 500  # whoever says so answers for it


async def test_a_component_of_a_later_wasi_is_told_by_its_name(keeper: KeeperProcess) -> None:
    handled, run = ("handle", "wasi:http/incoming-handler@0.2.0"), ("run", "wasi:cli/run@0.2.0")
    later = ("handle", "wasi:http/handler@0.3.0"), ("run", "wasi:cli/run@0.3.0")
    cases = {
        "imports `wasi:http/types@0.3.0`": ("", "wasi:http/types@0.3.0", handled),
        "exports `wasi:http/handler@0.3.0`": ("", "wasi:io/poll@0.2.0", later[0]),
        "imports `wasi:cli/stdout@0.3.0`": ("wasi", "wasi:cli/stdout@0.3.0", run),
        "exports `wasi:cli/run@0.3.0`": ("wasi", "wasi:io/poll@0.2.0", later[1]),
    }
    async with keeper.supervise() as supervisor:
        for number, (said, (runtime, imported, exported)) in enumerate(cases.items()):
            keeper.compiler.add(f"later-{number}", LATER.format(imported, *exported))
            with pytest.raises(StartFailedError) as caught:
                async with serving(supervisor, f"later-{number}", runtime=runtime):
                    pass
            assert f"the component {said}: this runtime speaks WASI 0.2.x" in str(caught.value)
