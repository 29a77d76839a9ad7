"""The cache: built once, whole or not at all, by whoever comes first."""

import subprocess
import threading
from pathlib import Path

import pytest

from controlplane import building
from controlplane.building import GoModule, Programs, build_control_plane, built
from controlplane.errors import BuildError
from controlplane.settings import Settings

SOURCE = 'package main\n\nfunc main() { println("built") }\n'


@pytest.fixture
def module(tmp_path: Path) -> GoModule:
    """A module that builds in no time."""
    folder = tmp_path / "a module"
    (folder / "cmd" / "server").mkdir(parents=True)
    (folder / "cmd" / "server" / "main.go").write_text(SOURCE)
    (folder / "go.mod").write_text("module a.test/m\n\ngo 1.26\n\ntool a.test/m/cmd/server\n")
    (folder / "go.sum").write_text("")
    return GoModule(
        folder=folder, cache="test", programs=("renamed",), renamed={"server": "renamed"}
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(cache_home=tmp_path / "cache home", assets=None)


def test_a_build_gives_the_program_under_its_own_name(module: GoModule, settings: Settings) -> None:
    programs = built(module, settings)
    assert programs.folder == settings.cache_home / "wasmlet" / "test" / module.digest()
    ran = subprocess.run([programs.path("renamed")], capture_output=True, check=True)
    assert ran.stderr == b"built\n"


def test_the_second_time_nothing_is_built(module: GoModule, settings: Settings) -> None:
    program = Path(built(module, settings).path("renamed"))
    before = program.stat()
    assert Path(built(module, settings).path("renamed")).stat() == before


def test_a_changed_module_is_built_beside_the_old_one(module: GoModule, settings: Settings) -> None:
    old = built(module, settings)
    with (module.folder / "go.mod").open("a") as text:
        text.write("// changed\n")
    new = built(module, settings)
    assert new.folder != old.folder
    assert Path(old.path("renamed")).is_file()


def test_a_changed_source_is_built_anew(module: GoModule, settings: Settings) -> None:
    built(module, settings)
    (module.folder / "cmd" / "server" / "main.go").write_text(SOURCE.replace('"built"', '"anew"'))
    ran = subprocess.run([built(module, settings).path("renamed")], capture_output=True, check=True)
    assert ran.stderr == b"anew\n"


def test_a_failed_build_says_why_and_leaves_nothing(module: GoModule, settings: Settings) -> None:
    (module.folder / "cmd" / "server" / "main.go").write_text("package main\n\nfunc main() { x }\n")
    with pytest.raises(BuildError, match="undefined: x"):
        built(module, settings)
    left = [each.name for each in (settings.cache_home / "wasmlet" / "test").iterdir()]
    assert left == [f"{module.digest()}.lock"]


def test_two_builds_side_by_side_are_one(
    module: GoModule, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds: list[Path] = []
    build = building._run_go_build

    def counting(module: GoModule, into: Path) -> None:
        builds.append(into)
        build(module, into)

    monkeypatch.setattr(building, "_run_go_build", counting)
    answers: list[Programs] = []
    threads = [
        threading.Thread(target=lambda: answers.append(built(module, settings))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(builds) == 1
    assert [each.folder for each in answers] == [answers[0].folder] * 3


def test_a_folder_of_a_killed_build_is_swept(module: GoModule, settings: Settings) -> None:
    rest = settings.cache_home / "wasmlet" / "test" / f"{module.digest()}.building-old"
    rest.mkdir(parents=True)
    built(module, settings)
    assert not rest.exists()


def test_given_assets_must_be_complete(tmp_path: Path) -> None:
    (tmp_path / "etcd").touch()
    settings = Settings(cache_home=tmp_path, assets=tmp_path)
    with pytest.raises(BuildError, match="lacks kube-apiserver, kube-controller-manager"):
        build_control_plane(settings)


def test_given_assets_are_used_as_they_are(tmp_path: Path) -> None:
    for name in building.CONTROL_PLANE.programs:
        (tmp_path / name).touch()
    settings = Settings(cache_home=tmp_path / "unused", assets=tmp_path)
    assert build_control_plane(settings).folder == tmp_path
    assert not (tmp_path / "unused").exists()


def test_without_a_new_enough_go_the_error_names_the_ways_out(
    module: GoModule, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "bin" / "go"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho go1.19.8\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:/bin")
    monkeypatch.setattr("sys.executable", str(old.with_name("python")))
    with pytest.raises(BuildError, match=r"go1\.19\.8.*--group go.*KUBEBUILDER_ASSETS"):
        built(module, settings)


def test_the_versions_flags_come_from_go_mod() -> None:
    flags = building._ldflags(building.CONTROL_PLANE)
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "-X k8s.io/component-base/version.gitMinor=36" in flags
