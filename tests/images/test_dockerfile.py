"""What the Dockerfile says of all images holds: no root, one pinned uv, one base."""

import importlib.util
import re
import tomllib
from pathlib import Path

from chart.dockerfile import stages

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICES = ("node-registrar", "pod-reconciler", "wasm-executor", "log-server")
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
OWN = {"LABEL", "ENV", "EXPOSE", "ENTRYPOINT"}


def test_the_images_differ_in_nothing_but_their_service() -> None:
    for service in SERVICES:
        stage = stages()[service]
        assert stage.start == "environment"
        assert {line.split()[0] for line in stage.instructions} <= OWN
        more = {"DATA_DIR", "RUN_DIR", "LOG_ROOT"} if service == "wasm-executor" else set[str]()
        assert set(stage.variables) == {f"WASMLET_{name}" for name in {"ADMIN_PORT", *more}}
        assert stage.variables["WASMLET_ADMIN_PORT"] == "9400"


def test_an_image_runs_its_service_as_nobody_in_particular() -> None:
    for service in SERVICES:
        module = service.replace("-", "_")
        assert f'ENTRYPOINT ["/opt/wasmlet/bin/python", "-m", "{module}"]' in stages()[service][1]
        assert importlib.util.find_spec(f"{module}.__main__") is not None
    start, lines = stages()["environment"]
    assert lines[-1] == "USER 65532:65532"
    assert start == stages()["build"][0] == "${BASE}"
    assert "ARG BASE=python:3.13-slim\n" in DOCKERFILE
    assert {start for start, _ in stages().values()} == {"${BASE}", "build", "environment"}


def test_images_are_built_with_the_uv_of_the_makefile_by_the_lock() -> None:
    pinned = re.search(r"(?m)^UV_VERSION := (\S+)$", (REPOSITORY / "Makefile").read_text())
    assert pinned is not None
    assert f"ARG UV_VERSION={pinned[1]}\n" in DOCKERFILE
    assert "uv==${UV_VERSION}" in DOCKERFILE
    synced = [line for _, lines in stages().values() for line in lines if "uv sync" in line]
    assert len(synced) == 3  # what is locked, what is ours, and the engine for the examples
    for line in synced:
        assert "--no-dev" in line
        assert "--locked" in line or "--frozen --no-dev --no-install-workspace" in line


def test_no_secret_and_no_test_is_in_reach_of_a_build() -> None:
    rules = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert rules[1] == "*"  # all is left out but what is named
    assert not [rule for rule in rules if rule.startswith(("!.", "!tests", "!docs"))]
    assert {"packages/*/tests", "services/*/tests"} <= set(rules)


def test_the_lock_has_a_wheel_for_arm64_of_all_that_is_in_an_image() -> None:
    lock = tomllib.loads((REPOSITORY / "uv.lock").read_text())
    packages = {package["name"]: package for package in lock["package"]}
    wanted, found = list(SERVICES), set[str]()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            wanted += [each["name"] for each in packages[name].get("dependencies", ())]
    assert "wasmtime" in found
    for name in sorted(found):
        if "registry" in packages[name]["source"]:
            files = [wheel["url"].rsplit("/", 1)[1] for wheel in packages[name]["wheels"]]
            assert any(is_for_arm64(file) for file in files), name


def is_for_arm64(file: str) -> bool:
    """Whether a CPython 3.13 on an arm64 Linux with glibc can install this wheel."""
    abi, platform = file.removesuffix(".whl").split("-")[-2:]
    fits = abi in {"cp313", "abi3", "none"}
    return fits and (platform == "any" or ("manylinux" in platform and "aarch64" in platform))
