"""A control plane in the foreground: ready in seconds, gone without a trace after Ctrl-C."""

import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from controlplane.building import build_control_plane
from controlplane.errors import ComponentError
from controlplane.kubeconfigs import write_private
from controlplane.plane import ControlPlane
from controlplane.terminal import answer, say

LOOK_EVERY_S = 0.5
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stopped(BaseException):
    """A signal asked for the end, wherever the main thread is."""


def run_cluster(kubeconfig: Path, data_dir: Path | None) -> None:
    """Runs until a signal comes or a component ends by itself."""
    programs = build_control_plane()
    with _folder(data_dir) as folder:
        plane = ControlPlane(folder, programs=programs)
        try:
            with _signals_raise():
                _run(plane, kubeconfig.absolute())
        except _Stopped:
            say("stopping")
        finally:
            plane.stop()
            _remove_own(kubeconfig, plane)


def _run(plane: ControlPlane, kubeconfig: Path) -> None:
    plane.start()
    plane.deploy()
    write_private(kubeconfig, plane.admin_kubeconfig.read_text())
    answer(f"cluster ready: export KUBECONFIG='{kubeconfig}'  (Ctrl-C stops it)")
    never = threading.Event()
    while not never.wait(LOOK_EVERY_S):
        for component in plane.components:
            if not component.is_running:
                tail = component.log_tail()
                raise ComponentError(component.name, "ended by itself", component.log_path, tail)


@contextmanager
def _signals_raise() -> Iterator[None]:
    """The first signal raises; later ones are ignored, so that the stopping is not stopped."""

    def stop(*_: int | FrameType | None) -> None:
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise _Stopped

    for number in _STOP_SIGNALS:
        signal.signal(number, stop)
    yield


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        yield data_dir
        return
    with tempfile.TemporaryDirectory(prefix="wasmlet-cluster-") as temporary:
        yield Path(temporary)


def _remove_own(kubeconfig: Path, plane: ControlPlane) -> None:
    """Another cluster may have written its own over ours by now: that one stays."""
    try:
        if kubeconfig.read_text() == plane.admin_kubeconfig.read_text():
            kubeconfig.unlink()
    except FileNotFoundError:
        pass
