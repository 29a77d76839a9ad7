"""What a first and a later start of a guest cost, by the language that it was written in.

A first start has an image that the node has never seen: it is pulled and compiled. A later one
finds both done. The guests are commands that say hello and end, so both times are of a whole run.
"""

import asyncio
import secrets
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks.cluster import PodWatch, create_all, delete_all, pod_body
from benchmarks.measures import Subject
from kubekit.client import Api

TIMEOUT_S: Final = 300.0
WARM: Final = 10


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    wasm: bytes


def guests_of(folder: Path) -> list[Guest]:
    """Return each `.wasm` there whose name begins with `hello`."""
    found = sorted(folder.glob("hello*.wasm"))
    return [Guest(name=each.stem, wasm=each.read_bytes()) for each in found]


class LanguageFigures(msgspec.Struct, frozen=True, kw_only=True):
    guest: str
    module_kb: int
    cold_ms: float
    """Create to Succeeded: pulled, compiled, run."""
    warm_ms: float
    """The same with image and code there: the median."""


async def language_figures(
    api: Api, watch: PodWatch, registry: str, subject: Subject, guests: list[Guest]
) -> list[LanguageFigures]:
    return [await _measured(api, watch, registry, subject, guest) for guest in guests]


async def _measured(
    api: Api, watch: PodWatch, registry: str, subject: Subject, guest: Guest
) -> LanguageFigures:
    name = guest.name
    image = f"{registry}/bench/{name}:1"
    await asyncio.to_thread(_push, guest, image)
    spans = [
        await _run_s(api, watch, f"{name}-{number}", image, subject) for number in range(1 + WARM)
    ]
    return LanguageFigures(
        guest=name,
        module_kb=len(guest.wasm) // 1024,
        cold_ms=round(spans[0] * 1000, 1),
        warm_ms=round(statistics.median(spans[1:]) * 1000, 1),
    )


async def _run_s(api: Api, watch: PodWatch, name: str, image: str, subject: Subject) -> float:
    body: dict[str, Any] = msgspec.json.decode(
        pod_body(name, image, subject.node, subject.selector)
    )
    body["spec"]["restartPolicy"] = "Never"
    began = await create_all(api, [msgspec.json.encode(body)])
    ended = await watch.reached([name], "Succeeded", TIMEOUT_S)
    await delete_all(api, [name])
    return ended - began


def _push(guest: Guest, image: str) -> None:
    """Push it as nobody has seen it: with a section of its own, which means nothing."""
    content = b"\x05bench" + secrets.token_bytes(16)
    section = b"\x00" + bytes((len(content),)) + content
    with tempfile.TemporaryDirectory(prefix="wasmlet-bench-") as folder:
        file = Path(folder) / "unique.wasm"
        file.write_bytes(guest.wasm + section)
        command = [sys.executable, "-m", "wasmlet", "push", str(file), image, "--insecure"]
        subprocess.run(command, check=True, capture_output=True)
