"""One engine, one set of images and one compose project for the tests that need them."""

import os
import shutil
from collections.abc import Iterator

import pytest
from composetests.engine import Engine, why_no_engine
from composetests.images import build_base, build_own, build_stand_ins
from composetests.project import REPOSITORY
from composetests.up import USER, Up


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    reason = why_no_engine()
    if reason is not None:
        pytest.skip(reason)
    with Engine() as engine:
        yield engine


@pytest.fixture(scope="session")
def images(engine: Engine) -> str:
    """All images; what `make images` printed."""
    build_base(engine)
    printed = build_own(engine)
    build_stand_ins(engine)
    return printed


@pytest.fixture(scope="session")
def up(engine: Engine, images: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The project, in a folder of its own: the developer's .dev is not ours."""
    assert images
    folder = tmp_path_factory.mktemp("compose") / "project"
    folder.mkdir()
    shutil.copy(REPOSITORY / "compose.yaml", folder)
    for name in ("compose", "helm/wasmlet/files"):
        shutil.copytree(REPOSITORY / name, folder / name)
    os.chown(folder / "compose", USER, USER)
    project = Up(engine, folder)
    yield project
    project.compose("--profile", "observability", "down", "--volumes", "--timeout=5")
