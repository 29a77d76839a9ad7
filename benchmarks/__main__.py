"""Run every measure on a real control plane, beside a bare client in the same run.

Prints a table and writes the figures as JSON. The scheduler and the controller-manager get
`--kube-api-qps 1000`, because their default of 50 would be what is measured.
"""

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import wasmtime

from benchmarks import pairs
from benchmarks.arguments import parsed
from benchmarks.bare import LABEL
from benchmarks.cluster import PodWatch, watching
from benchmarks.comparing import print_comparison
from benchmarks.execs import exec_costs
from benchmarks.handlers import Handler, handler_figures
from benchmarks.kubelet import KubeletFigures, Place, kubelet_figures, source_guest
from benchmarks.languages import guests_of, language_figures
from benchmarks.logs import log_throughput
from benchmarks.measures import (
    Subject,
    delete_burst,
    delete_one_by_one,
    start_burst,
    start_one_by_one,
)
from benchmarks.memory import Weights, weigh
from benchmarks.nodes import OBJECTS_PERIOD_S, Joining, wasmlet_up
from benchmarks.probes import probe_costs
from benchmarks.sources import Shared, rich_starts, update_many
from controlplane import ControlPlane, Registry, Tuning
from kubekit.client import Api, api_client
from wasmlet.up.folders import run_folders

REST_S: Final = 3.0
PROBED_S: Final = 20.0
LISTENER: Final = Path(__file__).parent.parent / "examples" / "guests" / "listener.wat"
HANDLER: Final = LISTENER.parents[2] / "services/wasm-executor/tests/support/guests/http.wat"
NODE: Final = "bench"
BARE_NODE: Final = "bare"


def main() -> None:
    chosen = parsed(__doc__)
    if chosen.compare:
        print_comparison(*chosen.compare)
        return
    with tempfile.TemporaryDirectory(prefix="wasmlet-bench-") as folder:
        figures = run(Path(folder), chosen)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    print_table(figures)
    print(f"written to {chosen.out}")


def run(folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}, Linux {platform.release()}",
        "load": os.getloadavg(),
        "python": platform.python_version(),
    }
    tuning = Tuning(kube_api_qps=1000)
    plane = ControlPlane(folder / "control-plane", tuning=tuning)
    with plane, Registry(folder / "registry") as registry:
        plane.deploy()
        images = push_guests(registry, folder, chosen.handler)
        if chosen.beside is not None:
            return figures | {"pairs": run_pairs(plane, registry, images["idle"], folder, chosen)}
        if not chosen.no_bare and (chosen.sources_only or not is_part(chosen)):
            with bare_client(plane):
                bare = Subject(label="bare", node=BARE_NODE, image=images["idle"], selector=LABEL)
                figures["bare"] = asyncio.run(measure_bare(plane, bare, chosen))
            plane.kubectl("delete", "node", BARE_NODE)
        joining = Joining(
            name=NODE,
            kubeconfig=plane.admin_kubeconfig,
            registry=registry.host,
            folder=folder / "node",
        )
        with wasmlet_up(joining) as pid:
            figures["wasmlet"] = asyncio.run(measure_wasmlet(plane, images, joining, chosen, pid))
    return figures


def run_pairs(
    plane: ControlPlane, registry: Registry, image: str, folder: Path, chosen: argparse.Namespace
) -> dict[str, Any]:
    """Measure two checkouts in turns."""
    kinds = pairs.KINDS if chosen.rich else pairs.KINDS[:1]
    plan = pairs.Plan(pods=chosen.singles, kinds=kinds, burst=chosen.burst, rounds=chosen.rounds)
    first = Joining(
        name=NODE, kubeconfig=plane.admin_kubeconfig, registry=registry.host, folder=folder
    )
    joined = pairs.joinings(first, chosen.beside, plan)

    async def measured(sides: Mapping[str, pairs.Side]) -> dict[str, Any]:
        async with connected(plane) as (api, watch):
            return await pairs.measure(api, watch, sides, plan)

    with ExitStack() as stack:
        return asyncio.run(measured(pairs.both_up(stack, joined, image)))


def is_part(chosen: argparse.Namespace) -> bool:
    """Whether only a part is measured."""
    only = (chosen.sources_only, chosen.kubelet_only, chosen.http_only, chosen.languages_only)
    return any(only)


async def measure_bare(
    plane: ControlPlane, subject: Subject, chosen: argparse.Namespace
) -> dict[str, Any]:
    async with connected(plane) as (api, watch):
        sources = await rich_starts(api, watch, subject, chosen.rich)
        if chosen.sources_only:
            return {"sources": sources}
        singles = await start_one_by_one(api, watch, subject, chosen.singles)
        deletions = await delete_one_by_one(api, watch, subject, chosen.singles)
        burst = await start_burst(api, watch, subject, chosen.burst)
        seconds = await delete_burst(api, watch, subject, chosen.burst)
        return {
            "one_by_one": singles,
            "deleted_one_by_one": deletions,
            "burst": burst,
            "burst_deleted_s": seconds,
            "sources": sources,
        }


async def measure_wasmlet(
    plane: ControlPlane,
    images: dict[str, str],
    joining: Joining,
    chosen: argparse.Namespace,
    pid: int,
) -> dict[str, Any]:
    logs = joining.data / "nodes" / NODE / "logs"
    async with connected(plane) as (api, watch):
        place = Place(api=api, watch=watch, plane=plane, logs=logs)
        figures: dict[str, Any] = {}
        await asyncio.sleep(REST_S)
        figures["memory_at_rest"] = weights_of(weigh(pid))
        if chosen.http_only or not is_part(chosen):
            handler = handler_of(images, chosen)
            figures["http"] = await handler_figures(api, watch, handler, pid, chosen.http)
        if chosen.languages_only or not is_part(chosen):
            guests, registry = guests_of(chosen.guests), joining.registry
            figures["languages"] = await language_figures(
                api, watch, registry, of_wasmlet(""), guests
            )
        if chosen.kubelet_only or not is_part(chosen):
            figures["kubelet"] = await measure_kubelet(place, images, chosen)
        if chosen.sources_only or not is_part(chosen):
            subject = of_wasmlet(images["idle"])
            figures |= await measure_sources(api, watch, subject, joining.data, chosen, pid)
        if not is_part(chosen):
            figures |= await measure_pods(place, images, chosen, pid)
        return figures


async def measure_pods(
    place: Place, images: dict[str, str], chosen: argparse.Namespace, pid: int
) -> dict[str, Any]:
    """Starts and ends, alone and many at once, and what probes cost."""
    api, watch, figures = place.api, place.watch, dict[str, Any]()
    subject, talker = of_wasmlet(images["idle"]), of_wasmlet(images["talker"])
    figures["one_by_one"] = await start_one_by_one(api, watch, subject, chosen.singles)
    figures["deleted_one_by_one"] = await delete_one_by_one(api, watch, subject, chosen.singles)
    figures["logs"] = await log_throughput(api, watch, talker, place.plane.kubectl, place.logs)
    figures["burst"] = await start_burst(api, watch, subject, chosen.burst)
    await asyncio.sleep(REST_S)
    figures["memory_with_burst"] = weights_of(weigh(pid))
    figures["burst_deleted_s"] = await delete_burst(api, watch, subject, chosen.burst)
    await asyncio.sleep(REST_S)
    figures["memory_afterwards"] = weights_of(weigh(pid))
    figures["probes"] = await probe_costs(
        api, watch, of_wasmlet(images["listener"]), pid, pods=chosen.probed, seconds=PROBED_S
    )
    figures["exec_probes"] = await exec_costs(
        api, watch, of_wasmlet(images["asked"]), pid, pods=chosen.asked, seconds=PROBED_S
    )
    return figures


def of_wasmlet(image: str) -> Subject:
    """Pods of this image on the Node that is measured."""
    selector = {"kubernetes.io/hostname": NODE}
    return Subject(label="wasm", node=NODE, image=image, selector=selector)


def handler_of(images: dict[str, str], chosen: argparse.Namespace) -> Handler:
    """The component that was chosen, or our own of text."""
    if chosen.handler is None:
        return Handler(subject=of_wasmlet(images["http"]))
    return Handler(subject=of_wasmlet(images["handler"]), path="/", file=chosen.handler)


async def measure_kubelet(
    place: Place, images: dict[str, str], chosen: argparse.Namespace
) -> KubeletFigures:
    return await kubelet_figures(
        place,
        of_wasmlet(images["talker"]),
        of_wasmlet(images["asked"]),
        of_wasmlet(images["source"]),
        followers=chosen.readers,
        execs=chosen.execs,
    )


async def measure_sources(
    api: Api,
    watch: PodWatch,
    subject: Subject,
    data: Path,
    chosen: argparse.Namespace,
    pid: int,
) -> dict[str, Any]:
    (run,) = run_folders(data)
    shared = Shared(run=run, root=pid, pods=chosen.updated, period_s=OBJECTS_PERIOD_S)
    updates = await update_many(api, watch, subject, shared)
    return {"sources": await rich_starts(api, watch, subject, chosen.rich), "update": updates}


def weights_of(weights: Weights) -> dict[str, Any]:
    figures: dict[str, Any] = msgspec.to_builtins(weights)
    figures["services_total_pss_kb"] = weights.services_total_pss_kb
    if weights.containers:
        figures["pss_per_pod_kb"] = round(weights.containers_pss_kb / weights.containers)
    return figures


@asynccontextmanager
async def connected(plane: ControlPlane) -> AsyncIterator[tuple[Api, PodWatch]]:
    async with (
        api_client(plane.admin_kubeconfig, user_agent="bench") as api,
        watching(api) as watch,
    ):
        yield api, watch


def push_guests(registry: Registry, folder: Path, handler: Path | None) -> dict[str, str]:
    own = sorted((Path(__file__).parent / "guests").glob("*.wat"))
    texts = {source.stem: source.read_text() for source in (*own, LISTENER, HANDLER)}
    modules = {"handler": handler} if handler is not None else {}
    for name, text in (texts | {"source": source_guest(texts["listener"])}).items():
        modules[name] = folder / f"{name}.wasm"
        modules[name].write_bytes(wasmtime.wat2wasm(text))
    images = {name: f"{registry.host}/bench/{name}:1" for name in modules}
    for name, module in modules.items():
        command = [sys.executable, "-m", "wasmlet", "push", str(module), images[name]]
        subprocess.run([*command, "--insecure"], check=True, stdout=subprocess.DEVNULL)
    return images


@contextmanager
def bare_client(plane: ControlPlane) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.bare", "--node", BARE_NODE]
    command += ["--kubeconfig", str(plane.admin_kubeconfig)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError("the bare client did not start")
        try:
            yield
        finally:
            process.kill()


def print_table(figures: dict[str, Any]) -> None:
    plain = msgspec.to_builtins(figures)
    for who in ("bare", "wasmlet"):
        for measure, value in plain.get(who, {}).items():
            print(f"{who:<8} {measure:<18} {msgspec.json.encode(value).decode()}")
    if "pairs" in plain:
        print(msgspec.json.format(msgspec.json.encode(plain["pairs"])).decode())


if __name__ == "__main__":
    main()
