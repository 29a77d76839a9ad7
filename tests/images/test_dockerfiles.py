"""The four Dockerfiles say the same, and what they say holds: no root, one pinned uv, one base."""

import importlib.util
import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICES = ("node-registrar", "pod-reconciler", "wasm-executor", "log-server")
OWN = re.compile(r"(?m)^(EXPOSE .*|RUN install .*|# A named volume .*|    WASMLET_(?!ADMIN).*)\n")


def dockerfile(service: str) -> str:
    return (REPOSITORY / "services" / service / "Dockerfile").read_text()


def common(service: str) -> str:
    """What is left without what is the service's own."""
    text = OWN.sub("", dockerfile(service)).replace(
        " \\\n        --no-install-package kubernetes", ""
    )
    text = re.sub(r"(?m)^# The client library .*\n", "", text)
    text = re.sub(r'image\.description=".*"', "", text)
    text = text.replace("WASMLET_ADMIN_PORT=9400 \\\n", "WASMLET_ADMIN_PORT=9400\n")
    return text.replace(service, "SERVICE").replace(service.replace("-", "_"), "MODULE")


def test_the_images_differ_in_nothing_but_their_service() -> None:
    for service in SERVICES:
        assert common(service) == common("node-registrar")


def test_an_image_runs_its_service_as_nobody_in_particular() -> None:
    for service in SERVICES:
        lines = dockerfile(service).splitlines()
        module = service.replace("-", "_")
        assert f'ENTRYPOINT ["/opt/wasmlet/bin/python", "-m", "{module}"]' in lines
        assert importlib.util.find_spec(f"{module}.__main__") is not None
        assert "USER 65532:65532" in lines[lines.index("FROM ${BASE}") :]
        assert [line for line in lines if line.startswith("FROM")] == [
            "FROM ${BASE} AS build",
            "FROM ${BASE}",
        ]
        assert "ARG BASE=python:3.13-slim" in lines


def test_images_are_built_with_the_uv_of_the_makefile_by_the_lock() -> None:
    pinned = re.search(r"(?m)^UV_VERSION := (\S+)$", (REPOSITORY / "Makefile").read_text())
    assert pinned is not None
    jobs = (REPOSITORY / "compose/jobs/Dockerfile").read_text()
    for text in (*map(dockerfile, SERVICES), jobs):
        assert f"ARG UV_VERSION={pinned[1]}\n" in text
        assert "uv==${UV_VERSION}" in text
        assert "--locked" in text
    assert "--no-dev" in jobs


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
