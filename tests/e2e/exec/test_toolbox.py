"""The toolbox of examples/toolbox on a node of its own: a shell, files in and out by kubectl."""

import os
import pty
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from e2e import guests
from e2e.api import Api
from e2e.images import Images
from e2e.pods import Pods, pod
from e2e.running_wasmlet import RunningWasmlet, joined

from controlplane import ControlPlane, Registry
from controlplane.golang import build_environment, usable_go

NODE = "toolbox"
SOURCE = Path(__file__).parents[3] / "examples" / "toolbox"
BUILD_WITHIN_S = 300

pytestmark = pytest.mark.timeout(BUILD_WITHIN_S)
type Kubectl = Callable[..., CompletedProcess[bytes]]


def with_go(*command: str) -> CompletedProcess[str]:
    go, _ = usable_go()
    environment = build_environment()
    environment["PATH"] = f"{go.parent}:{environment['PATH']}"
    return subprocess.run(
        command,
        cwd=SOURCE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_WITHIN_S,
        check=False,
    )


@pytest.fixture(scope="module")
def toolbox(images: Images, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("toolbox") / "toolbox.wasm"
    built = with_go("sh", "build", str(file))
    assert built.returncode == 0, built.stderr
    return images.push(file.read_bytes(), "toolbox")


@pytest.fixture(scope="module")
def node(
    control_plane: ControlPlane,
    api: Api,
    registry: Registry,
    toolbox: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningWasmlet]:
    folder = tmp_path_factory.mktemp("toolbox-node") / "up"
    settings = {"wasm-executor:TOOLBOX_IMAGE": toolbox}
    hosts = [registry.host]
    with joined(
        control_plane, api, folder, node_name=NODE, registries=hosts, settings=settings
    ) as node:
        yield node


@pytest.fixture
def sleeper(node: RunningWasmlet, pods: Pods, images: Images, kubectl: Kubectl) -> str:
    """A running pod whose module obeys nothing, with a folder to write; the toolbox is there."""
    manifest = pod("sleeper", images.push(guests.sleeps(), "sleeper"))
    container = manifest["spec"]["containers"][0]
    container["env"] = [{"name": "GREETING", "value": "good day"}]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    manifest["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    manifest["spec"]["nodeName"] = NODE
    pods.create(manifest)
    pods.await_phase("sleeper", "Running")
    while b"is not ready" in kubectl("exec", "sleeper", "--", "true").stderr:
        assert node.process.is_running
    return "sleeper"


def test_its_own_tests_pass() -> None:
    tested = with_go("go", "test", ".")
    assert tested.returncode == 0, tested.stdout


def test_commands_pipes_and_exit_codes(kubectl: Kubectl, sleeper: str) -> None:
    def said(*command: str) -> tuple[int, str]:
        done = kubectl("exec", sleeper, "--", *command)
        return done.returncode, done.stdout.decode()

    assert said("ls", "/") == (0, "data\ndev\netc\nvar\n")
    assert said("ls", "/etc") == (0, "hostname\nhosts\nresolv.conf\n")
    assert said("/bin/cat", "/etc/hostname") == (0, "sleeper\n")
    assert "GREETING=good day\n" in said("env")[1]
    assert said("sh", "-c", "cat /etc/hosts | grep sleeper | wc -l") == (0, "1\n")
    assert said("sh", "-c", "echo $GREETING > /data/x; cat /data/x") == (0, "good day\n")
    assert said("sh", "-c", "exit 42") == (42, "")
    assert said("sh", "-c", "wget x") == (127, "")
    assert said("test", "-d", "/nope") == (1, "")
    assert said("false") == (1, "")


def test_stdin_reaches_the_shell(kubectl: Kubectl, sleeper: str) -> None:
    done = kubectl("exec", "-i", sleeper, "--", "sh", stdin=b"echo hi\nexit 3\n")
    assert (done.returncode, done.stdout) == (3, b"hi\n")
    content = os.urandom(1_000_000)
    done = kubectl("exec", "-i", sleeper, "--", "sh", "-c", "cat | cat", stdin=content)
    whole = done.stdout == content
    assert whole


def test_another_program_is_not_there(kubectl: Kubectl, sleeper: str) -> None:
    done = kubectl("exec", sleeper, "--", "wget")
    assert b'exec: "wget": executable file not found in $PATH' in done.stderr


@pytest.mark.usefixtures("node")
def test_pod_may_have_another_toolbox(kubectl: Kubectl, pods: Pods, images: Images) -> None:
    exits_7 = guests.module("(call $proc_exit (i32.const 7))", more='(func (export "tool:only"))')
    manifest = pod("other", images.push(guests.sleeps(), "sleeper"))
    other = images.push(exits_7, "other-toolbox")
    manifest["metadata"]["annotations"] = {"wasmlet.dev/toolbox": other}
    manifest["spec"]["nodeName"] = NODE
    pods.create(manifest)
    pods.await_phase("other", "Running")
    assert kubectl("exec", "other", "--", "only").returncode == 7
    assert b"executable file not found" in kubectl("exec", "other", "--", "ls").stderr


def test_files_and_folders_are_copied_both_ways(
    kubectl: Kubectl, sleeper: str, tmp_path: Path
) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "from" / "sub").mkdir(parents=True)
    (tmp_path / "from" / "big").write_bytes(content)
    (tmp_path / "from" / "sub" / "small").write_text("x")
    for done in (
        kubectl("cp", str(tmp_path / "from"), f"{sleeper}:/data/there"),
        kubectl("cp", "--no-preserve", str(tmp_path / "from" / "big"), f"{sleeper}:/data"),
        kubectl("cp", f"{sleeper}:/data/there", str(tmp_path / "back")),
        kubectl("cp", "--retries=2", f"{sleeper}:/data/big", str(tmp_path / "big")),
    ):
        assert done.returncode == 0, done.stderr
    same = [(tmp_path / name).read_bytes() == content for name in ("back/big", "big", "from/big")]
    assert all(same)
    assert (tmp_path / "back" / "sub" / "small").read_text() == "x"


def test_file_that_is_not_there_is_told(kubectl: Kubectl, sleeper: str, tmp_path: Path) -> None:
    done = kubectl("cp", f"{sleeper}:/data/nope", str(tmp_path / "nope"))
    assert done.returncode == 2
    assert b"command terminated with exit code 2" in done.stderr


@pytest.mark.usefixtures("kubectl")
def test_terminal_has_a_prompt(control_plane: ControlPlane, pods: Pods, sleeper: str) -> None:
    namespace = f"--namespace={pods.namespace}"
    command = control_plane.kubectl.command("exec", namespace, "-it", sleeper, "--", "sh")
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as kubectl:
        os.close(theirs)
        _await(ours, b"$ ")
        os.write(ours, b"cd /etc; ls | grep hosts\r")
        _await(ours, b"\r\nhosts\r\n$ ")
        os.write(ours, b"exit 5\r")
        assert kubectl.wait(30) == 5
    os.close(ours)


def _await(descriptor: int, wanted: bytes) -> None:
    said = b""
    while wanted not in said:
        said += os.read(descriptor, 1024)
