"""Every combination of what `kubectl logs` can ask for, against a model: a list of stamped lines.

The container wrote more than two log files hold: tails and times reach into rotated ones. Another
writes 130 MB at once, without a line's end: every byte comes, in order.
"""

import hashlib
import itertools
import ssl
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import httpx
import pytest
from e2e import guests
from e2e.api import Api
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet, joined

from controlplane import ControlPlane, Registry

NODE: Final = "logs"
FILE_BYTES: Final = 256 * 1024
LINES, WIDTH = 400, 1800
TAILS: Final = (None, 0, 1, 250, 1000)
LIMITS: Final = (None, 1, 5000)
PATTERN: Final = bytes(byte for byte in range(256) if byte != 0x0A)
AT_ONCE: Final = 130_000_000 // len(PATTERN) * len(PATTERN)

pytestmark = pytest.mark.slow  # a node of its own


class Line(NamedTuple):
    """One line of the container, and when the node read it, as `timestamps` shows it."""

    stamp: str
    text: str

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.stamp)


class Asked(NamedTuple):
    """What a request asks for."""

    follow: bool
    timestamps: bool
    tail: int | None
    since: datetime | None
    limit: int | None

    @property
    def query(self) -> dict[str, str]:
        given = {
            "follow": "true" if self.follow else None,
            "timestamps": "true" if self.timestamps else None,
            "tailLines": self.tail,
            "sinceTime": self.since and self.since.isoformat(),
            "limitBytes": self.limit,
        }
        return {name: str(value) for name, value in given.items() if value is not None}

    def shown(self, lines: list[Line]) -> str:
        """The tail is found first, then the time filters, and the limit cuts what is left."""
        tail = lines if self.tail is None else lines[len(lines) - min(self.tail, len(lines)) :]
        young = [line for line in tail if self.since is None or line.at >= self.since]
        text = "".join(
            f"{line.stamp} {line.text}" if self.timestamps else line.text for line in young
        )
        return text[: self.limit]


@pytest.fixture(scope="module")
def node(
    control_plane: ControlPlane,
    api: Api,
    registry: Registry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningWasmlet]:
    settings = {"wasm-executor:LOG_MAX_BYTES": FILE_BYTES, "wasm-executor:LOG_MAX_FILES": 1000}
    folder, hosts = tmp_path_factory.mktemp(NODE) / "up", [registry.host]
    with joined(
        control_plane, api, folder, node_name=NODE, registries=hosts, settings=settings
    ) as node:
        yield node


@pytest.fixture
def client(control_plane: ControlPlane) -> Iterator[httpx.Client]:
    context = ssl.create_default_context(cafile=str(control_plane.authority))
    context.load_cert_chain(control_plane.admin.certificate, control_plane.admin.key)
    server = control_plane.server
    with httpx.Client(base_url=server, verify=context, timeout=60, trust_env=False) as client:
        yield client


def test_every_combination_shows_what_the_model_shows(
    node: RunningWasmlet, pods: Pods, images: Images, client: httpx.Client
) -> None:
    wide = images.push(guests.counts_widely(8, up_to=LINES, width=WIDTH), "logs-wide")
    url = _ended(pods, "wide", wide, node)
    assert len(_files(node, "wide")) > 2
    stamped = client.get(url, params={"timestamps": "true"}).text
    lines = [Line(*line.split(" ", 1)) for line in stamped.splitlines(keepends=True)]
    assert [line.text[:13] for line in lines] == guests.numbered(1, LINES).splitlines()
    since = lines[LINES // 2].at.replace(microsecond=0)  # clients send whole seconds
    assert lines[0].at < since < lines[-1].at
    for asked in itertools.starmap(
        Asked, itertools.product((False, True), (False, True), TAILS, (None, since), LIMITS)
    ):
        answer = client.get(url, params=asked.query)
        assert answer.status_code == httpx.codes.OK, asked
        is_shown = answer.text == asked.shown(lines)  # a difference of 700 KB helps nobody
        assert is_shown, asked


def test_following_goes_on_through_rotations_to_the_containers_end(
    control_plane: ControlPlane, node: RunningWasmlet, pods: Pods, images: Images
) -> None:
    image = images.push(guests.counts_widely(12, up_to=1000, width=WIDTH), "logs-followed")
    _create(pods, "followed", image, node)
    pods.await_phase("followed", "Running")
    kubectl = control_plane.kubectl
    with subprocess.Popen(
        kubectl.command("logs", "--follow", f"--namespace={pods.namespace}", "followed"),
        env=kubectl.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        first = following.stdout.read(1)
        assert "running" in pods.container("followed")["state"], "it was to be followed"
        shown = first + following.stdout.read()
    assert following.returncode == 0
    assert len(_files(node, "followed")) > 5
    assert [line[:13] for line in shown.splitlines()] == guests.numbered(1, 1000).splitlines()
    assert {len(line) for line in shown.splitlines()} == {WIDTH - 1}


@pytest.mark.timeout(180)
def test_130_megabytes_at_once_without_a_lines_end_come_whole(
    node: RunningWasmlet, pods: Pods, images: Images, client: httpx.Client
) -> None:
    url = _ended(pods, "endless", images.push(writes_at_once(), "logs-endless"), node)
    size, seen, wanted = 0, hashlib.sha256(), hashlib.sha256()
    with client.stream("GET", url) as answer:
        for piece in answer.iter_raw():
            seen.update(piece)
            size += len(piece)
    for _ in range(AT_ONCE // len(PATTERN)):
        wanted.update(PATTERN)
    assert size == AT_ONCE
    assert seen.digest() == wanted.digest()


def writes_at_once() -> bytes:
    """One `fd_write` of NUL, escapes and what is no UTF-8; what is left of it, until all is out."""
    return guests.module(
        f"""
(local $at i32)
(drop (memory.grow (i32.const {AT_ONCE // 65536 + 2})))
(loop $fill
  (i32.store8 (i32.add (i32.const 65536) (local.get $at)) (local.get $at))
  (local.set $at (i32.add (local.get $at) (i32.const 1)))
  (br_if $fill (i32.lt_u (local.get $at) (i32.const 10))))
(loop $rest
  (i32.store8 (i32.add (i32.const 65536) (local.get $at))
    (i32.add (local.get $at) (i32.const 1)))
  (local.set $at (i32.add (local.get $at) (i32.const 1)))
  (br_if $rest (i32.lt_u (local.get $at) (i32.const {len(PATTERN)}))))
(loop $double
  (memory.copy (i32.add (i32.const 65536) (local.get $at)) (i32.const 65536)
    (select (local.get $at) (i32.sub (i32.const {AT_ONCE}) (local.get $at))
      (i32.lt_u (i32.shl (local.get $at) (i32.const 1)) (i32.const {AT_ONCE}))))
  (local.set $at (i32.shl (local.get $at) (i32.const 1)))
  (br_if $double (i32.lt_u (local.get $at) (i32.const {AT_ONCE}))))
(i32.store (i32.const 0) (i32.const 65536))
(i32.store (i32.const 4) (i32.const {AT_ONCE}))
(loop $write
  (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
  (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 16))))
  (i32.store (i32.const 4) (i32.sub (i32.load (i32.const 4)) (i32.load (i32.const 16))))
  (br_if $write (i32.load (i32.const 4))))"""
    )


def _files(node: RunningWasmlet, name: str) -> list[Path]:
    """The log files of a pod, rotated ones too."""
    folders = node.data_dir.glob(f"nodes/*/logs/pods/*_{name}_*/main")
    return [file for folder in folders for file in folder.iterdir()]


def _create(pods: Pods, name: str, image: str, node: RunningWasmlet) -> None:
    manifest = pod(name, image)
    manifest["spec"]["nodeName"] = node.nodes[0]
    pods.create(manifest)


def _ended(pods: Pods, name: str, image: str, node: RunningWasmlet) -> str:
    """The address of the log of a pod that has run to its end on this node."""
    _create(pods, name, image, node)
    pods.await_phase(name, "Succeeded", 90)
    return f"/api/v1/namespaces/{pods.namespace}/pods/{name}/log"
