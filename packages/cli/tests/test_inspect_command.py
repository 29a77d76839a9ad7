"""`wasmlet inspect`, and what `wasmlet push` writes for others to inspect."""

import gzip
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from backports import zstd
from image_shelf import INDEX, MANIFEST, Shelf, tar
from wasmtime import wat2wasm

from controlplane.registry import Registry
from wasmlet.__main__ import main

MODULE = bytes(
    wat2wasm(
        """(module (import "wasi_snapshot_preview1" "sock_accept" (func (param i32)))
          (import "env" "table" (table 1 externref)) (import "env" "memory" (memory 1 2))
          (import "env" "global" (global (mut i32))) (func (export "_start")))"""
    )
)
HANDLER = bytes(
    wat2wasm(
        """(component (import "wasi:http/types@0.2.0" (instance $i (export "f" (func))))
          (import "other:thing/x@1.0.0" (instance)) (import "t" (type (sub resource)))
          (export "wasi:http/incoming-handler@0.2.0" (instance $i)))"""
    )
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "app.wasm"


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[list[str]]]:
    """Run the command; return its code and its lines, each split into title and text."""
    capsys.readouterr()
    code = main([str(each) for each in arguments])
    return code, [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]


def test_a_module_is_told_with_what_it_wants(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(MODULE)
    assert told(capsys, "inspect", file) == (
        0,
        [
            ["kind", "module (WASI 0.1)"],
            ["runtime", "wasi"],
            ["imports", "wasi_snapshot_preview1::sock_accept"],
            ["imports", "env::table"],
            ["imports", "env::memory"],
            ["imports", "env::global"],
            ["exports", "_start"],
            ["remark", "nothing provides the import env::table"],
            ["remark", "nothing provides the import env::memory"],
            ["remark", "nothing provides the import env::global"],
            ["remark", "sockets are denied, but on a node with WASMLET_GUEST_SOCKETS"],
        ],
    )


def test_a_handler_is_for_the_http_runtime(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(HANDLER)
    code, lines = told(capsys, "inspect", file)
    assert code == 0
    assert ["runtime", "wasi-http"] in lines
    assert [text for title, text in lines if title == "remark"] == [
        "nothing provides the import other:thing/x@1.0.0",
        "nothing provides the import t",
    ]


@pytest.mark.parametrize(
    ("wasi", "kind", "remarks"),
    [
        (["0.2.6"], "component (WASI 0.2)", 0),
        (["0.3.0"], "component (WASI 0.3)", 1),
        (["0.2.6", "0.3.0-rc-2025-09-16"], "component (WASI 0.2 and 0.3)", 1),
        ([], "component (without WASI)", 0),
    ],
)
def test_a_component_is_told_by_the_wasi_that_it_is_made_for(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    wasi: list[str],
    kind: str,
    remarks: int,
) -> None:
    imports = " ".join(f'(import "wasi:clocks/wall-clock@{each}" (instance))' for each in wasi)
    file.write_bytes(bytes(wat2wasm(f"(component {imports})")))
    _, lines = told(capsys, "inspect", file)
    assert lines[0] == ["kind", kind]
    remark = "nodes run WASI 0.2.x; a runtime program of the machine may run it (`external`)"
    assert lines.count(["remark", remark]) == remarks


def test_a_module_that_asks_as_under_wagi_is_for_that_runtime(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """(module (import "wasi_experimental_http" "close" (func (param i32) (result i32)))
              (func (export "_start")))"""
    file.write_bytes(bytes(wat2wasm(text)))
    code, lines = told(capsys, "inspect", file)
    assert (code, ["runtime", "wagi"] in lines) == (0, True)
    assert [text for title, text in lines if title == "remark"] == [
        "its pod wants a RuntimeClass whose handler is `wagi` (wasmtime-wagi)"
    ]


def test_what_no_runtime_takes_ends_with_one(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(b"\0asm\x0d\0\x01\0")
    code, lines = told(capsys, "inspect", file)
    assert (code, lines[1]) == (1, ["runtime", "none"])
    file.write_bytes(MODULE[:40])
    assert main(["inspect", str(file)]) == 1
    assert "it cannot be read as WebAssembly: the file ends too early" in capsys.readouterr().err


def test_what_is_neither_file_nor_reference_is_told_as_that(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["inspect", "nosuch.wasm"]) == 2
    assert "there is no such file, and 'nosuch.wasm' is not a reference" in capsys.readouterr().err


def test_whoever_stops_reading_is_shown_no_traceback(file: Path) -> None:
    many = " ".join(f'(import "env" "f{each}" (func))' for each in range(10_000))
    file.write_bytes(bytes(wat2wasm(f"(module {many})")))
    command = [sys.executable, "-m", "wasmlet", "inspect", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"kind      module (without WASI)\n"
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 141)


def test_ctrl_c_ends_it_without_a_traceback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        name = f"127.0.0.1:{silent.getsockname()[1]}/hello"
        command = [sys.executable, "-m", "wasmlet", "inspect", name, "--insecure"]
        with (
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
            silent.accept()[0],
        ):
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "")


@pytest.mark.parametrize("form", ["cncf", "krustlet"])
def test_what_was_pushed_is_recognised_and_says_what_it_is(
    form: str, registry: Registry, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(HANDLER)
    reference = f"{registry.host}/{form}:v1"
    assert main(["push", str(file), reference, "--insecure", "--format", form]) == 0
    by_digest = capsys.readouterr().out.strip()
    code, lines = told(capsys, "inspect", by_digest, "--insecure")
    layer = {"cncf": "application/wasm", "krustlet": "application/vnd.wasm.content.layer.v1+wasm"}
    assert code == 0
    assert lines[0] == ["form", f"artifact, layer {layer[form]}"]
    manifest = httpx.get(
        f"{registry.url}/v2/{form}/manifests/v1", headers={"Accept": MANIFEST}
    ).json()
    config = httpx.get(f"{registry.url}/v2/{form}/blobs/{manifest['config']['digest']}").json()
    if form == "krustlet":
        assert manifest["config"]["mediaType"] == "application/vnd.wasm.config.v1+json"
        return
    assert config["os"] == "wasip2"
    assert config["component"] == {
        "exports": ["wasi:http/incoming-handler@0.2.0"],
        "imports": ["wasi:http/types@0.2.0", "other:thing/x@1.0.0", "t"],
    }


PACKS = pytest.mark.parametrize("pack", [gzip.compress, zstd.compress, bytes])


@PACKS
def test_the_module_of_an_ordinary_image_is_found_in_its_layers(
    pack: Any, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(registry, f"image-{pack.__name__}")
    entry = shelf.image(pack(tar("srv/app.wasm", MODULE)))
    platform = {"os": "wasi", "architecture": "wasm"}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**entry, "platform": platform}]}
    shelf.manifest(index, INDEX, "v1")
    code, lines = told(capsys, "inspect", f"{shelf.name}:v1", "--insecure")
    assert code == 0
    assert lines[:7] == [
        ["index", "wasi/wasm"],
        ["form", "image of 1 layers of files"],
        ["platform", "wasi/wasm"],
        ["command", "app.wasm -v"],
        ["variables", "TOKEN"],
        ["directory", "/srv"],
        ["kind", "module (WASI 0.1)"],
    ]


@PACKS
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_layer_that_is_broken_is_told_in_one_line(
    damage: str, pack: Any, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(registry, f"{damage}-{pack.__name__}")
    layer = pack(tar("srv/app.wasm", MODULE + os.urandom(100_000)))
    half = len(layer) // 2
    broken = layer[:half] if damage == "cut" else layer[:20] + b"\xff" * 40 + layer[60:]
    shelf.image(broken)
    assert main(["inspect", f"{shelf.name}:image", "--insecure"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wasmlet: a layer cannot be unpacked: ")


def test_an_index_without_webassembly_is_told(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = Shelf(registry, "no-wasm")
    empty = {"schemaVersion": 2, "mediaType": MANIFEST, "config": shelf.blob(b"{}", "x/y")}
    entry = shelf.manifest({**empty, "layers": []}, MANIFEST, "amd64")
    platform = {"os": "linux", "architecture": "amd64"}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**entry, "platform": platform}]}
    shelf.manifest(index, INDEX, "v1")
    code, lines = told(capsys, "inspect", f"{shelf.name}:v1", "--insecure")
    assert code == 1
    assert lines[0] == ["index", "linux/amd64"]
    assert main(["inspect", f"{shelf.name}:gone", "--insecure"]) == 1
    assert f"cannot inspect {shelf.name}:gone: 404" in capsys.readouterr().err
