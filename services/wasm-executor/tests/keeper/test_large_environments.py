"""Large environments reach a guest whole: no argument list of an operating system is in the way."""

import pytest
from keeper_rig import KeeperProcess

MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({f"V{number}": "x" * 1000 for number in range(1000)}, id="many"),
        pytest.param({"ALL": "y" * MEBIBYTE}, id="one"),
    ],
)
async def test_a_megabyte_of_variables_reaches_the_guest(
    keeper: KeeperProcess, variables: dict[str, str]
) -> None:
    async with keeper.supervise() as supervisor:
        exit_, container = await supervisor.run("environ", **variables)
        assert exit_.code == 0
        name, *told = container.content().split("\0")
        assert (name, told.pop()) == ("environ", "")
        assert dict(each.split("=", 1) for each in told) == variables
