"""`wasmlet node join` on this system: what it needs, and what it starts when it joins again."""

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from contract.ids import NodeName
from wasmlet.errors import CommandLineError
from wasmlet.node import joining
from wasmlet.node.enrolment import Enrolment
from wasmlet.node.joining import JoinOptions
from wasmlet.node.machine_files import EXECUTOR_READS, Machine, files

ENROLMENT = Enrolment(
    node=NodeName("edge"),
    server="https://10.0.0.1:6443",
    authority="-----BEGIN CERTIFICATE-----\n",
    token="abcdef.0123456789abcdef",
    nats_url="tls://nats.example:4222",
    nats_authority="-----BEGIN CERTIFICATE-----\nbus",
    bus_secret="long-and-random",
)
EXECUTOR = "wasmlet-executor.service"
OTHERS = ("wasmlet-log-server.service", "wasmlet-renew.timer")


class OfSystem(JoinOptions, frozen=True, kw_only=True):
    """As for the running system, in a folder."""

    @property
    def of_system(self) -> bool:
        return True


class System:
    """A system whose systemd does as it is told, and runs the services."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.machine = Machine(root=f"{root}/")
        self.told: list[tuple[str, ...]] = []
        self.broken = ""
        monkeypatch.setattr(joining, "_run", self._run)
        monkeypatch.setattr(joining, "_is_active", lambda _: True)
        monkeypatch.setattr(joining, "_make_users", lambda _: None)
        monkeypatch.setattr(shutil, "chown", lambda *_: None)

    def _run(self, *command: str) -> None:
        if self.broken in command:
            raise CommandLineError(self.broken)
        self.told.append(command[1:])

    def join(self, enrolment: Enrolment = ENROLMENT, *, start: bool = True) -> list[str]:
        """Join, each time with a new identity; return how the executor was started."""
        self.told.clear()
        made = files(enrolment, os.urandom(8), self.machine)
        joining._install(made, OfSystem(machine=self.machine, start=start))
        return [verb for verb, *units in self.told if verb != "enable" and EXECUTOR in units]


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    return System(tmp_path, monkeypatch)


def test_the_same_word_twice_leaves_the_executor_and_its_pods_alone(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    assert system.join() == ["restart"]
    capsys.readouterr()
    assert system.join() == ["start"]
    assert ("restart", *OTHERS) in system.told, "the identity is another"
    assert capsys.readouterr().out == ""


def test_new_settings_start_it_anew_and_that_is_told(
    system: System, capsys: pytest.CaptureFixture[str]
) -> None:
    """It reads them once, and `enable --now` leaves alone what runs."""
    system.join()
    capsys.readouterr()
    assert system.join(msgspec.structs.replace(ENROLMENT, bus_secret="another")) == ["restart"]
    assert "its pods with it" in capsys.readouterr().out


@pytest.mark.parametrize("broken", ["daemon-reload", "restart"])
def test_what_failed_half_way_is_done_by_who_tries_again(system: System, broken: str) -> None:
    system.join()
    another = msgspec.structs.replace(ENROLMENT, bus_secret="another")
    system.broken = broken
    with pytest.raises(CommandLineError, match=broken):
        system.join(another)
    system.broken = ""
    assert system.join(another) == ["restart"]
    assert system.join(another) == ["start"]


def test_what_was_not_to_be_started_yet_is_started_anew_later(system: System) -> None:
    assert system.join(start=False) == []
    assert system.join() == ["restart"]


def test_what_the_executor_reads_is_what_a_machine_gets(tmp_path: Path) -> None:
    made = files(ENROLMENT, b"", Machine(root=f"{tmp_path}/"))
    assert set(EXECUTOR_READS) == {
        each for each in made if "executor" in each or each.endswith("bus-ca.crt")
    }


@pytest.mark.parametrize(("user", "said"), [(1000, "only root"), (0, "has no systemctl")])
async def test_a_machine_that_cannot_start_the_services_keeps_its_word(
    user: int, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sysusers = tmp_path / "systemd-sysusers"
    sysusers.touch(0o755)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandLineError, match=said):
        await joining.join(ENROLMENT, JoinOptions(machine=Machine()))


def test_a_machine_that_is_to_start_nothing_needs_no_systemctl(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in a container where an image is built."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    options = JoinOptions(machine=Machine(), start=False)
    with pytest.raises(CommandLineError, match="has no systemd-sysusers"):
        joining._refuse_unfit_system(options)
    (tmp_path / "systemd-sysusers").touch(0o755)
    joining._refuse_unfit_system(options)
