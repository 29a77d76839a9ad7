"""No secret is left anywhere: a marker in each of them, and a look at everything afterwards.

On tmpfs they lie as long as their pods do; so tmpfs is looked at once these are gone.
"""

import base64
import json
import signal
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from e2e import guests
from e2e.anatomy import INSIDE_EXECUTOR, Anatomy, Part
from e2e.api import Api
from e2e.expectations import eventually
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.processes import Process, all_processes
from e2e.running_wasmlet import RunningWasmlet, joined
from trace_collector import Collector

from controlplane import ControlPlane, Registry
from wasmlet.up.folders import run_folders

NODE = "markers"
MARKERS = {
    way: f"{way}-7f3a91c2d45b-marker"
    for way in ("variable", "all", "argument", "file", "part", "pull")
}
"""One per way into a container, and one to pull its image with."""
PODS = ("runs", "fails", "no-image", "broken")
BROKEN = "broken-7f3a91c2d45b-marker"
"""In a value that is not UTF-8, so that it can be no variable."""
A_TOKEN = "eyJ"
"""What every JWT begins with."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def node(
    control_plane: ControlPlane,
    api: Api,
    registry: Registry,
    collector: Collector,
    tmp_path: Path,
) -> Iterator[RunningWasmlet]:
    """A Node of the test's own, which tells all that it knows how to tell."""
    with joined(
        control_plane,
        api,
        tmp_path / "up",
        node_name=NODE,
        registries=[registry.host],
        settings={
            "pod-reconciler:OBJECTS_RETRY_S": 1,
            "pod-reconciler:TRACES_ENDPOINT": collector.url,
            "wasm-executor:TRACES_ENDPOINT": collector.url,
        },
        options=("--log-level", "debug"),
    ) as node:
        yield node


def placed(name: str, image: str, **container: Any) -> dict[str, Any]:
    manifest = pod(name, image, **container)
    manifest["spec"]["nodeSelector"] = {"kubernetes.io/hostname": NODE}
    return manifest


def with_every_secret(name: str, image: str) -> dict[str, Any]:
    """A pod into which each marker finds its way; its account's token is mounted besides."""
    manifest = placed(
        name,
        image,
        env=[
            {"name": "ONE", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "variable"}}},
            {"name": "TWO", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "argument"}}},
        ],
        envFrom=[{"secretRef": {"name": "whole"}}],
        args=["--password=$(TWO)"],
        volumeMounts=[{"name": each, "mountPath": f"/{each}"} for each in ("file", "part")],
    )
    item = {"items": [{"key": "part", "path": "part"}], "name": "keys"}
    manifest["spec"]["restartPolicy"] = "Always"
    manifest["spec"]["imagePullSecrets"] = [{"name": "pull"}]
    manifest["spec"]["volumes"] = [
        {"name": "file", "secret": {"secretName": "files"}},
        {"name": "part", "projected": {"sources": [{"secret": item}]}},
    ]
    return manifest


def put_secrets(api: Api, pods: Pods, registry: str) -> None:
    keys = {way: MARKERS[way] for way in ("variable", "argument", "part")}
    contents = {"keys": keys, "whole": {"ALL": MARKERS["all"]}, "files": {"f": MARKERS["file"]}}
    path = f"/api/v1/namespaces/{pods.namespace}/secrets"
    for name, data in contents.items():
        api.create(path, {"metadata": {"name": name}, "stringData": data})
    login = {"auths": {registry: {"username": "puller", "password": MARKERS["pull"]}}}
    config = {".dockerconfigjson": json.dumps(login)}
    pull = {"metadata": {"name": "pull"}, "type": "kubernetes.io/dockerconfigjson"}
    api.create(path, {**pull, "stringData": config})
    broken = base64.b64encode(b"\xff" + BROKEN.encode()).decode()
    api.create(path, {"metadata": {"name": "broken"}, "data": {"key": broken}})


def put_pods(pods: Pods, images: Images) -> None:
    """One pod of each fate: it runs, fails, has no image, or cannot have its variables."""
    sleeps = images.push(guests.sleeps(), "sleeps")
    pods.create(with_every_secret("runs", sleeps))
    pods.create(with_every_secret("fails", images.push(guests.traps(), "traps")))
    pods.create(with_every_secret("no-image", f"{sleeps}-not"))
    broken = {"name": "B", "valueFrom": {"secretKeyRef": {"name": "broken", "key": "key"}}}
    pods.create(placed("broken", sleeps, env=[broken]))
    pods.await_phase("runs", "Running")
    pods.await_waiting("fails", "CrashLoopBackOff")
    pods.await_waiting("no-image", "ImagePullBackOff")
    pods.await_waiting("broken", "CreateContainerConfigError")


def needles(secrets: Iterable[str]) -> list[bytes]:
    """Each secret as it is, and as it looks inside of base64, wherever it begins there."""
    found = []
    for secret in secrets:
        found.append(secret.encode())
        for shift in range(3):
            text = base64.b64encode(b"\0" * shift + secret.encode())
            found.append(text[4 if shift else 0 : -4])
    return found


def hits(content: bytes, wanted: Iterable[bytes]) -> list[bytes]:
    return [each for each in wanted if each in content]


def leaks_in(folder: Path, wanted: list[bytes]) -> list[str]:
    """The files below a folder that hold one of these."""
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and hits(path.read_bytes(), wanted)
    ]


def below(up: Process) -> set[Process]:
    """It and all that it started, orphans of its children included."""
    found, news = {up}, [up]
    while news:
        news = [child for each in news for child in each.children() if child not in found]
        found |= set(news)
    return found


def leaks_of_processes(up: Process, wanted: list[bytes]) -> list[str]:
    """What /proc shows to others of the machine: command lines of all, variables of ours."""
    shown = [(each, " ".join(each.arguments)) for each in all_processes()]
    shown += [(each, json.dumps(each.environment)) for each in below(up)]
    return [str(each) for each, text in shown if hits(text.encode(), wanted)]


def may_dump_core(up: Process) -> list[str]:
    return [
        f"{each.pid} {each.arguments}"
        for each in below(up)
        for line in Path(f"/proc/{each.pid}/limits").read_text().splitlines()
        if line.startswith("Max core file size") and line.split()[4:6] != ["0", "0"]
    ]


def told_of_starts(collector: Collector) -> bool:
    names = {each.name for each in collector.spans}
    return names >= {"pod.start", "pod.run", "container.start"}


def token_on(run: Path) -> str:
    """The token that a pod's guest is shown, as it lies on tmpfs."""
    files = [path.read_bytes() for path in (run / "nodes").rglob("*") if path.is_file()]
    return next(each.decode() for each in files if each.startswith(A_TOKEN.encode()))


def told_of_pods(api: Api) -> str:
    """What `/pods` of the kubelet answers, once a reconciler that restarted has them all."""
    shown = json.dumps(api.get(f"/api/v1/nodes/{NODE}/proxy/pods"))
    return shown if all(f'"{name}"' in shown for name in PODS) else ""


@pytest.mark.timeout(150)  # it kills much, waits for back-offs, and reads every file
def test_no_secret_is_left_on_disk_in_logs_traces_the_api_or_in_what_proc_shows(
    node: RunningWasmlet, collector: Collector, pods: Pods, images: Images, tmp_path: Path, api: Api
) -> None:
    anatomy = Anatomy(node)
    (run,) = run_folders(node.data_dir)
    put_secrets(api, pods, images.registry.host)
    put_pods(pods, images)
    eventually(partial(told_of_starts, collector))  # before whoever tells of them is killed

    token = token_on(run)
    wanted = needles([*MARKERS.values(), BROKEN, token, token.rsplit(".", 1)[1]])
    assert leaks_in(run, wanted), "they lie on tmpfs, or nothing is shown by what follows"
    assert may_dump_core(anatomy.up) == []
    assert leaks_of_processes(anatomy.up, wanted) == []

    (victim,) = (each for each in anatomy.containers() if each.lives)
    victim.signal(signal.SIGABRT)
    for part in (*INSIDE_EXECUTOR, Part.RECONCILER):
        dead = anatomy.get(part)
        dead.signal(signal.SIGABRT)
        anatomy.await_successor(part, dead)
    eventually(lambda: pods.container("runs")["restartCount"] > 0)
    pods.await_phase("runs", "Running")

    assert leaks_of_processes(anatomy.up, wanted) == []
    assert hits(eventually(lambda: told_of_pods(api)).encode(), wanted) == []
    for what in ("pods", "events"):
        listed = json.dumps(api.get(f"/api/v1/namespaces/{pods.namespace}/{what}"))
        assert hits(listed.encode(), wanted) == [], what

    for name in PODS:
        pods.delete(name, grace_s=1)
    for name in PODS:
        eventually(partial(pods.is_gone, name))
    eventually(lambda: leaks_in(run, wanted) == [])
    assert leaks_in(tmp_path, wanted) == []
    assert [body for body in collector.bodies if hits(body, wanted)] == []
    assert list(Path.cwd().glob("core*")) == []
