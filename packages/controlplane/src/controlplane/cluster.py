"""A control plane in the foreground: ready in seconds, gone without a trace after Ctrl-C."""

from pathlib import Path

from controlplane.building import build_control_plane
from controlplane.errors import KubeconfigInUseError
from controlplane.foreground import folder_or_temporary, interruptible, watch
from controlplane.kubeconfigs import read_cluster, write_private
from controlplane.plane import ControlPlane
from controlplane.probing import is_authoritys_server
from controlplane.terminal import answer


def run_cluster(kubeconfig: Path, data_dir: Path | None) -> None:
    """Runs until a signal comes or a component ends by itself.

    Raises KubeconfigInUseError, before anything is started, for a file that is not to be replaced.
    """
    require_replaceable(kubeconfig)
    programs = build_control_plane()
    with folder_or_temporary(data_dir, "wasmlet-cluster-") as folder:
        plane = ControlPlane(folder, programs=programs)
        try:
            with interruptible():
                _run(plane, kubeconfig.absolute())
        finally:
            plane.stop()
            _remove_own(kubeconfig, plane)


def require_replaceable(kubeconfig: Path) -> None:
    """Nothing is lost by writing here: no file, or that of a cluster of ours which is gone."""
    try:
        text = kubeconfig.read_text(errors="replace")
    except FileNotFoundError:
        return
    except OSError as error:
        raise KubeconfigInUseError(kubeconfig, f"cannot be read ({error.strerror})") from error
    cluster = read_cluster(text)
    if cluster is None:
        raise KubeconfigInUseError(kubeconfig, "was not written by this command")
    if is_authoritys_server(cluster.port, cluster.authority):
        raise KubeconfigInUseError(kubeconfig, "belongs to a cluster that is running")


def _run(plane: ControlPlane, kubeconfig: Path) -> None:
    plane.start()
    plane.deploy()
    require_replaceable(kubeconfig)  # another cluster may have been starting beside this one
    write_private(kubeconfig, plane.admin_kubeconfig.read_text())
    answer(f"cluster ready: export KUBECONFIG='{kubeconfig}'  (Ctrl-C stops it)")
    watch(plane.components)


def _remove_own(kubeconfig: Path, plane: ControlPlane) -> None:
    """Somebody may have put another file over ours by now: that one stays."""
    try:
        if kubeconfig.read_text() == plane.admin_kubeconfig.read_text():
            kubeconfig.unlink()
    except (OSError, UnicodeDecodeError):
        pass
