"""What the folder's files hold counts as soon as it can be read, and until they are gone."""

import errno
import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pod_reconciler.manifests import ManifestFolder

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: {containers: [{name: c, image: x}]}\n"


def names(folder: ManifestFolder) -> list[str]:
    folder.read()
    return [manifest.name[1] for manifest in folder.manifests]


def test_a_file_that_could_not_be_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(_: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    file, folder = tmp_path / "web.yaml", ManifestFolder(tmp_path)
    file.write_text(POD % "web")
    with monkeypatch.context() as disk:
        disk.setattr(Path, "read_bytes", failed)
        assert names(folder) == []
        assert folder.errors == [f"{file}: Input/output error"]
    assert names(folder) == ["web"]
    assert folder.errors == []


def test_a_file_of_the_same_size_and_time_is_another_all_the_same(tmp_path: Path) -> None:
    file, folder = tmp_path / "web.yaml", ManifestFolder(tmp_path)
    file.write_text(POD % "web")
    assert names(folder) == ["web"]
    before = file.stat()
    file.write_text(POD % "api")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert names(folder) == ["api"]


def test_only_a_file_that_is_not_there_is_gone(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "web.yaml"
    real.write_text(POD % "web")
    link.symlink_to(real)
    folder = ManifestFolder(tmp_path)
    assert names(folder) == ["web"]

    real.rename(tmp_path / "away")
    with capture_logs() as told:
        for _ in range(3):
            assert names(folder) == ["web"]
    assert folder.errors == [f"{link}: No such file or directory"]
    assert len(told) == 1

    link.unlink()
    assert names(folder) == []
    assert folder.errors == []


def test_what_an_editor_hides_in_the_folder_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / ".#web.yaml").symlink_to("me@here.1234")
    (tmp_path / ".web.yaml").write_text(POD % "web")
    folder = ManifestFolder(tmp_path)
    assert names(folder) == []
    assert folder.errors == []
