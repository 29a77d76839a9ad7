"""Layers become files by the rules of the specification, and no layer gets out of its folder."""

import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from layers import Entry, digest, folder, gzipped, hard_link, layer, symlink, zstandard

from wasm_executor.images.jobs import PullLimits
from wasm_executor.images.layers.layerstream import Budget, UnpackError
from wasm_executor.images.layers.unpacking import Layer, unpack

type Unpack = Callable[..., Path]

LIMITS = PullLimits(max_rootfs_bytes=1 << 20, max_rootfs_entries=100)


@pytest.fixture
def unpacked(tmp_path: Path) -> Unpack:
    """Unpack these layers beside a file that none of them may touch."""

    def run(*tars: bytes, diff_ids: tuple[str, ...] = ()) -> Path:
        root = tmp_path / "in" / "root"
        root.mkdir(parents=True)
        (tmp_path / "in" / "outside").write_text("untouched")
        layers = []
        for number, tar in enumerate(tars):
            path = tmp_path / f"layer-{number}"
            path.write_bytes(tar)
            layers.append(Layer(digest(tar), path, *diff_ids[number : number + 1]))
        unpack(layers, root, Budget(LIMITS))
        return root

    return run


def seen(root: Path) -> dict[str, str]:
    """Say what is there: a file's content, a link's target, `/` for a folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = "/" if path.is_dir() else path.read_text()
    return found


GOOD: dict[str, tuple[tuple[bytes, ...], dict[str, str]]] = {
    "a file replaces a file, a folder stays": (
        (layer(folder("a"), Entry("a/f", b"old"), Entry("a/g", b"g")), layer(Entry("a/f", b"new"))),
        {"a": "/", "a/f": "new", "a/g": "g"},
    ),
    "a whiteout hides a file, and one a folder": (
        (
            layer(Entry("f", b"1"), Entry("d/x", b"2"), Entry("k", b"3")),
            layer(Entry(".wh.f"), Entry(".wh.d")),
        ),
        {"k": "3"},
    ),
    "a whiteout hides only what lies below its layer": (
        (layer(Entry("f", b"old")), layer(Entry("f", b"new"), Entry(".wh.f"))),
        {"f": "new"},
    ),
    "an opaque folder hides what was in it, wherever the mark comes": (
        (
            layer(Entry("d/old", b"1"), Entry("d/s/old", b"2"), Entry("o", b"3")),
            layer(
                folder("d"), Entry("d/new", b"4"), Entry("d/s/new", b"5"), Entry("d/.wh..wh..opq")
            ),
        ),
        {"d": "/", "d/new": "4", "d/s": "/", "d/s/new": "5", "o": "3"},
    ),
    "an opaque root hides all": (
        (
            layer(Entry("a", b"1"), Entry("b/c", b"2")),
            layer(Entry(".wh..wh..opq"), Entry("n", b"3")),
        ),
        {"n": "3"},
    ),
    "a file takes the place of a folder, and the other way round": (
        (
            layer(Entry("d/x", b"1"), Entry("f", b"2")),
            layer(Entry("d", b"3"), folder("f"), Entry("f/y", b"4")),
        ),
        {"d": "3", "f": "/", "f/y": "4"},
    ),
    "what comes twice is what came last": (
        (layer(Entry("f", b"1"), Entry("f", b"2"), folder("d"), folder("d")),),
        {"f": "2", "d": "/"},
    ),
    "a hard link is the same file, and stays when the first name is replaced": (
        (layer(Entry("f", b"1"), hard_link("l", "f")), layer(Entry("f", b"2"))),
        {"f": "2", "l": "1"},
    ),
    "notes of builders are left out": (
        (layer(Entry(".wh..wh.plnk/1", b"x"), Entry("f", b"1"), Entry(".wh..wh.aufs", b"x")),),
        {"f": "1"},
    ),
    "absolute paths begin at the root": (
        (layer(Entry("/a/f", b"1"), Entry("./b", b"2"), folder("./")),),
        {"a": "/", "a/f": "1", "b": "2"},
    ),
    "links that would lead out lead to the same place inside": (
        (
            layer(
                symlink("etc/abs", "/usr/lib"),
                symlink("etc/up", "../../../outside"),
                symlink("etc/in", "../x"),
                symlink("top", "/"),
                hard_link("h", "etc/abs"),
            ),
        ),
        {
            "etc": "/",
            "etc/abs": "-> ../usr/lib",
            "etc/up": "-> ../outside",
            "etc/in": "-> ../x",
            "top": "-> .",
            "h": "-> usr/lib",
        },
    ),
    "what is written through a link is written inside": (
        (
            layer(symlink("l", "/real"), symlink("out", "../.."), folder("real")),
            layer(Entry("l/f", b"1"), Entry("out/outside", b"2")),
        ),
        {"l": "-> real", "out": "-> .", "outside": "2", "real": "/", "real/f": "1"},
    ),
    "devices and pipes are left out": (
        (
            layer(
                Entry("dev/null", kind=tarfile.CHRTYPE),
                Entry("dev/sda", kind=tarfile.BLKTYPE),
                Entry("pipe", kind=tarfile.FIFOTYPE),
                Entry("f", b"1"),
            ),
        ),
        {"dev": "/", "f": "1"},
    ),
    "gzip and zstd are told by their first bytes": (
        (gzipped(layer(Entry("g", b"1"))), zstandard(layer(Entry("z", b"2")))),
        {"g": "1", "z": "2"},
    ),
}


@pytest.mark.parametrize(("tars", "expected"), GOOD.values(), ids=GOOD)
def test_layers_lie_over_one_another_as_the_specification_says(
    tars: tuple[bytes, ...], expected: dict[str, str], unpacked: Unpack
) -> None:
    root = unpacked(*tars)
    assert seen(root) == expected
    assert (root.parent / "outside").read_text() == "untouched"


def test_owners_bits_are_kept_and_setuid_is_not(unpacked: Unpack) -> None:
    root = unpacked(layer(folder("d", 0o2550), Entry("s", b"", mode=0o6755), Entry("n", mode=0)))
    modes = {each: stat.S_IMODE((root / each).stat().st_mode) for each in ("d", "s", "n")}
    assert modes == {"d": 0o750, "s": 0o755, "n": 0o400}
    assert (root / "s").stat().st_mtime == 1_700_000_000


LONG = "x" * 300
HOSTILE: dict[str, tuple[bytes, str]] = {
    "up": (layer(Entry("../outside", b"!")), "the path '../outside' leads out of the image"),
    "up below": (layer(Entry("a/../../outside", b"!")), "leads out of the image"),
    "hard link up": (layer(hard_link("l", "../outside")), "leads out of the image"),
    "hard link to nothing": (layer(hard_link("l", "/etc/passwd")), "no such file or directory"),
    "hard link to a folder": (layer(folder("d"), hard_link("l", "d")), "is of no file: 'd'"),
    "whiteout of the parent": (layer(Entry("a/.wh...", b"")), "invalid whiteout name"),
    "whiteout of itself": (layer(Entry("a/.wh..", b"")), "invalid whiteout name"),
    "whiteout of nothing": (layer(Entry(".wh.", b"")), "invalid whiteout name"),
    "file as a folder": (layer(Entry("f", b""), Entry("f/g", b"")), "not a directory"),
    "ring of links": (
        layer(symlink("a", "b"), symlink("b", "a"), Entry("a/f", b"")),
        "too many levels of symbolic links",
    ),
    "too long a name": (layer(Entry(LONG, b"")), "file name too long"),
    "too deep": (layer(Entry("d/" * 130 + "f", b"")), "has more than 128 folders"),
    "too many": (
        layer(*(Entry(f"f{number}") for number in range(101))),
        "more than 100 files and folders",
    ),
    "too many folders around few files": (
        layer(*(Entry(f"{number}/" + "d/" * 50 + "f") for number in range(3))),
        "more than 100 files and folders",
    ),
    "bomb of gzip": (gzipped(layer(Entry("b", bytes(64 << 20)))), "more than 1048576 bytes"),
    "bomb of zstd": (zstandard(layer(Entry("b", bytes(64 << 20)))), "more than 1048576 bytes"),
    "bomb behind the end": (gzipped(layer() + bytes(64 << 20)), "more than 1048576 bytes"),
    "half a gzip": (gzipped(layer(Entry("f", b"1" * 999)))[:-20], "it cannot be unpacked"),
    "half a zstd": (zstandard(layer(Entry("f", os.urandom(999))))[:-20], "cannot be unpacked"),
    "half a tar": (layer(Entry("f", b"1" * 9999))[:2000], "unexpected end of data"),
    "no tar": (b"#!/bin/sh\n" * 100, "it is not a tar archive that can be read"),
    "nothing": (b"", "it is not a tar archive that can be read"),
}


@pytest.mark.parametrize(("tar", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_layer_that_is_wrong_is_refused_with_its_digest(
    tar: bytes, words: str, unpacked: Unpack, tmp_path: Path
) -> None:
    with pytest.raises(UnpackError) as caught:
        unpacked(tar)
    text = str(caught.value)
    assert text.startswith(f"failed to extract layer {digest(tar)}: ")
    assert words in text
    assert (tmp_path / "in" / "outside").read_text() == "untouched"


def test_content_that_is_not_what_the_config_names_is_refused(unpacked: Unpack) -> None:
    tar, other = layer(Entry("f", b"1")), digest(b"other")
    with pytest.raises(UnpackError, match="wrong diff id calculated on extraction"):
        unpacked(gzipped(tar), diff_ids=(other,))
