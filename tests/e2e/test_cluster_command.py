"""`make cluster`: several side by side, each gone without a trace after Ctrl-C."""

import os
import signal
import stat
from pathlib import Path

from e2e.expectations import eventually
from e2e.foreground import in_foreground

from controlplane import ControlPlane


def programs_in(folder: Path) -> list[str]:
    """Processes whose command line names this folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = each.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if any(os.fsencode(folder) in word for word in words):
            found.append(Path(os.fsdecode(words[0])).name)
    return sorted(found)


def test_a_cluster_says_how_to_use_it_and_leaves_nothing(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    folder = tmp_path / "a checkout"
    with in_foreground(folder, "cluster") as process:
        assert process.stdout is not None
        kubeconfig = folder / ".dev" / "kubeconfig"
        assert process.stdout.readline().startswith(
            f"cluster ready: export KUBECONFIG='{kubeconfig}'"
        )
        assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
        # Beside the session's own control plane, and another cluster than that.
        uids = [
            control_plane.kubectl(
                "get", "namespace", "default", "-o", "jsonpath={.metadata.uid}", kubeconfig=each
            ).stdout
            for each in (kubeconfig, control_plane.admin_kubeconfig)
        ]
        assert uids[0] != uids[1]
        control_plane.kubectl("get", "runtimeclass", "wasmtime-wasi", kubeconfig=kubeconfig)
        assert len(programs_in(folder)) == 4
        written = kubeconfig.read_text()
        with in_foreground(folder, "cluster") as second:
            assert second.stderr is not None
            (refusal,) = second.stderr.read().splitlines()
            assert second.wait(20) == 1
        assert ".dev/kubeconfig belongs to a cluster that is running" in refusal
        assert "--kubeconfig FILE" in refusal
        assert kubeconfig.read_text() == written
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert programs_in(folder) == []
        assert not kubeconfig.exists()
        assert list(folder.iterdir()) == [kubeconfig.parent]


def test_a_cluster_that_is_stopped_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "starting"
    with in_foreground(folder, "cluster") as process:
        eventually(lambda: "kube-apiserver" in programs_in(folder))
        process.terminate()
        assert process.wait(20) == 0
        assert programs_in(folder) == []
        assert list(folder.iterdir()) == []


def test_a_killed_cluster_leaves_no_process(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    with in_foreground(folder, "cluster") as process:
        eventually(lambda: "kube-apiserver" in programs_in(folder))
        process.kill()
        process.wait()
        eventually(lambda: programs_in(folder) == [])


def test_a_cluster_whose_component_dies_ends_with_its_log(tmp_path: Path) -> None:
    folder = tmp_path / "dying"
    with in_foreground(folder, "cluster", "--data-dir", str(folder / "data")) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        (scheduler,) = [
            int(each.parent.name)
            for each in Path("/proc").glob("[0-9]*/cmdline")
            if b"kube-scheduler\0" in each.read_bytes() and os.fsencode(folder) in each.read_bytes()
        ]
        os.kill(scheduler, signal.SIGKILL)
        assert process.wait(20) == 1
        assert "kube-scheduler ended by itself" in process.stderr.read()
    assert programs_in(folder) == []
