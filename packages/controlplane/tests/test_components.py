"""A component can be started, stopped, frozen and killed, and never outlives its parent."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from controlplane.errors import ComponentError
from controlplane.ports import free_ports
from controlplane.processes import Component

TICKS = "import time\nwhile True:\n  print('tick', flush=True)\n  time.sleep(0.01)\n"
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + TICKS


def ticker(folder: Path, script: str = TICKS) -> Component:
    log = folder / "ticker.log"
    return Component(
        "ticker", [sys.executable, "-c", script], log, lambda: b"tick" in log.read_bytes()
    )


@pytest.fixture
def component(tmp_path: Path) -> Iterator[Component]:
    component = ticker(tmp_path)
    component.start()
    component.wait_ready(10)
    yield component
    component.kill()


def await_true(ask: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not ask():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "gone"


def test_a_stopped_component_starts_again_and_keeps_its_log(component: Component) -> None:
    first = component.pid
    component.stop()
    assert not component.is_running
    size = component.log_path.stat().st_size
    component.start()
    assert component.pid != first
    await_true(lambda: component.log_path.stat().st_size > size)


def test_a_paused_component_lives_and_does_nothing(component: Component) -> None:
    component.pause()
    await_true(lambda: state(component.pid) == "T")
    component.resume()
    await_true(lambda: state(component.pid) in {"S", "R"})


def test_a_paused_component_can_be_stopped(component: Component) -> None:
    component.pause()
    component.stop()
    assert not component.is_running


def test_a_component_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    component = ticker(tmp_path, STUBBORN)
    component.start()
    component.wait_ready(10)
    component.stop(grace_s=0.1)
    assert not component.is_running


def test_one_that_ends_early_shows_the_end_of_its_log(tmp_path: Path) -> None:
    component = ticker(tmp_path, "raise SystemExit('no such flag')")
    component.start()
    with pytest.raises(ComponentError, match=r"ended \(1\).*\nno such flag"):
        component.wait_ready(10)


def test_one_that_never_is_ready_says_so(tmp_path: Path) -> None:
    component = ticker(tmp_path, "import time; print('hm', flush=True); time.sleep(60)")
    component.start()
    with pytest.raises(ComponentError, match="was not ready after 0 s"):
        component.wait_ready(0.2)
    component.kill()


def test_a_component_dies_with_a_killed_parent(tmp_path: Path) -> None:
    parent = f"""
import sys, time
from pathlib import Path
from controlplane.processes import Component
log = Path({str(tmp_path / "child.log")!r})
child = Component("child", [sys.executable, "-c", {TICKS!r}], log, log.exists)
child.start()
print(child.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert state(child) in {"S", "R"}
        process.send_signal(signal.SIGKILL)
    await_true(lambda: state(child) in {"gone", "Z"})


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert max(ports) < outgoing
