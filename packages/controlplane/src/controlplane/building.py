"""Builds the control plane's Go programs once, into a cache outside the checkout.

A build takes minutes, so its result is kept by the hash of go.mod, go.sum and the module's own
sources, where it has any. It appears whole or not at all (a folder renamed into place), and two
builds side by side take turns by a file lock.
"""

import fcntl
import hashlib
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from controlplane.errors import BuildError
from controlplane.golang import build_environment, usable_go
from controlplane.settings import Settings, read_settings
from controlplane.terminal import say

REPOSITORY = Path(__file__).resolve().parents[4]
MODULES = REPOSITORY / "tests" / "e2e" / "go"
PROGRESS_EVERY_S = 15.0


class GoModule(msgspec.Struct, frozen=True, kw_only=True):
    """A Go module and the programs that its tool lines name."""

    folder: Path
    cache: str
    programs: tuple[str, ...]
    renamed: dict[str, str] = {}  # as `go build` names it -> as everybody calls it

    def digest(self) -> str:
        sources = sorted(self.folder.rglob("*.go"))
        files = (self.folder / "go.mod", self.folder / "go.sum", *sources)
        text = b"".join(each.read_bytes() for each in files)
        return hashlib.sha256(text).hexdigest()[:16]


CONTROL_PLANE = GoModule(
    folder=MODULES / "controlplane",
    cache="control-plane",
    programs=("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"),
    renamed={"server": "etcd"},  # etcd's main package is go.etcd.io/etcd/server/v3
)
REGISTRY = GoModule(folder=MODULES / "registry", cache="registry", programs=("registry",))
METRICS_SERVER = GoModule(
    folder=MODULES / "metrics-server", cache="metrics-server", programs=("metrics-server",)
)
HELM = GoModule(folder=MODULES / "helm", cache="helm", programs=("helm",))


class Programs(msgspec.Struct, frozen=True):
    """A folder of the control plane's programs."""

    folder: Path

    def path(self, name: str) -> str:
        return str(self.folder / name)


def build_control_plane(settings: Settings | None = None) -> Programs:
    """The control plane's programs, built if the cache lacks them."""
    settings = settings or read_settings()
    if settings.assets is None:
        return built(CONTROL_PLANE, settings)
    absent = [name for name in CONTROL_PLANE.programs if not (settings.assets / name).is_file()]
    if absent:
        raise BuildError(f"KUBEBUILDER_ASSETS={settings.assets} lacks {', '.join(absent)}")
    return Programs(settings.assets)


def build_registry(settings: Settings | None = None) -> Programs:
    """The folder with the program `registry`, built if the cache lacks it."""
    return built(REGISTRY, settings or read_settings())


def build_metrics_server(settings: Settings | None = None) -> Programs:
    """The folder with the program `metrics-server`, built if the cache lacks it."""
    return built(METRICS_SERVER, settings or read_settings())


def build_helm(settings: Settings | None = None) -> Programs:
    """The folder with the program `helm`, built if the cache lacks it."""
    return built(HELM, settings or read_settings())


def built(module: GoModule, settings: Settings) -> Programs:
    """The module's programs from the cache; whoever comes first builds, others wait."""
    place = settings.cache_home / "wasmlet" / module.cache / module.digest()
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with _turn(place):
            if not place.is_dir():
                _build_into(module, place)
    return Programs(place)


@contextmanager
def _turn(place: Path) -> Iterator[None]:
    """Holds the build lock of one folder; the kernel releases it whatever ends this process."""
    with place.with_name(f"{place.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another build of {place}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_into(module: GoModule, place: Path) -> None:
    for rest in place.parent.glob(f"{place.name}.building-*"):
        shutil.rmtree(rest)  # of a build that was killed: the lock is ours, so nobody is in there
    workplace = Path(tempfile.mkdtemp(prefix=f"{place.name}.building-", dir=place.parent))
    try:
        _run_go_build(module, workplace)
        for built, called in module.renamed.items():
            (workplace / built).rename(workplace / called)
        workplace.chmod(0o755)
        workplace.rename(place)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def _run_go_build(module: GoModule, into: Path) -> None:
    go, version = usable_go()
    say(f"building {', '.join(module.programs)} with {version} (once; takes minutes)")
    command = [str(go), "build", "-v", "-trimpath", "-ldflags", _ldflags(module)]
    command += ["-o", f"{into}/", "tool"]
    began = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=module.folder,
        env=build_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as build:
        last_lines = _follow(build, began)
    if build.returncode != 0:
        raise BuildError(f"go build of {module.folder} failed:\n{''.join(last_lines)}")
    say(f"built into the cache in {time.monotonic() - began:.0f} s")


def _follow(build: subprocess.Popen[str], began: float) -> list[str]:
    """Prints a line of progress now and then; returns the last lines that go wrote."""
    assert build.stderr is not None
    lines: list[str] = []
    compiled, downloaded, said = 0, 0, began
    for line in build.stderr:
        downloaded += line.startswith("go: downloading")
        compiled += not line.startswith("go: ")
        lines = [*lines[-30:], line]
        if time.monotonic() - said > PROGRESS_EVERY_S:
            said = time.monotonic()
            what = f"{compiled} packages compiled, {downloaded} modules downloaded"
            say(f"{what} after {said - began:.0f} s")
    return lines


def _ldflags(module: GoModule) -> str:
    """Strips symbols and stamps Kubernetes' version, which its own build scripts would do."""
    required = re.search(
        r"^\s*k8s\.io/kubernetes v(\d+)\.(\d+)\.(\S+)",
        (module.folder / "go.mod").read_text(),
        re.MULTILINE,
    )
    flags = ["-s", "-w"]
    if required:
        major, minor, patch = required.groups()
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            flags += ["-X", f"{package}.gitVersion=v{major}.{minor}.{patch}"]
            flags += ["-X", f"{package}.gitMajor={major}", "-X", f"{package}.gitMinor={minor}"]
    return " ".join(flags)
