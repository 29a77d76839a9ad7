"""A keeper and guests for the tests of runtimes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from keeper_rig import Compiler, KeeperProcess, launch_keeper


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("aot"))


@pytest.fixture
def keeper(tmp_path: Path, compiler: Compiler) -> Iterator[KeeperProcess]:
    keeper = launch_keeper(tmp_path, compiler)
    yield keeper
    keeper.end()
