"""Volumes on folders of the test's own, and a keeper on the same, where guests run."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from keeper_rig import Compiler, Supervisor, launch_keeper
from volume_rig import VolumeRig, volume_rig


@pytest.fixture
def rig(tmp_path: Path) -> VolumeRig:
    return volume_rig(tmp_path)


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("aot"))


@pytest.fixture
async def supervisor(tmp_path: Path, compiler: Compiler) -> AsyncIterator[Supervisor]:
    keeper = launch_keeper(tmp_path, compiler)
    try:
        async with keeper.supervise() as supervisor:
            yield supervisor
    finally:
        keeper.end()


@pytest.fixture
def shm(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than the test's own, where there is one."""
    place = Path("/dev/shm")  # noqa: S108
    if not place.is_dir() or place.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    folder = Path(tempfile.mkdtemp(dir=place))
    yield folder
    shutil.rmtree(folder)
