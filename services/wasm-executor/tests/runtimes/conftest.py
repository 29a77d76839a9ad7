"""Keepers and guests for the tests of runtimes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from keeper_rig import Compiler, KeeperProcess, launch_keeper


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("aot"))


@pytest.fixture
def start_keeper(tmp_path: Path, compiler: Compiler) -> Iterator[Callable[..., KeeperProcess]]:
    """Start a keeper on the test's own directories; later ones succeed it."""
    started: list[KeeperProcess] = []

    def start(**settings: str) -> KeeperProcess:
        started.append(launch_keeper(tmp_path, compiler, **settings))
        return started[-1]

    yield start
    for keeper in started:
        keeper.end()


@pytest.fixture
def keeper(start_keeper: Callable[..., KeeperProcess]) -> KeeperProcess:
    return start_keeper()
