"""Termination messages and drain files where a volume is mounted at their folder, or above it."""

from pathlib import Path

import msgspec
import pytest
from volume_rig import VolumeRig, container, mount, pod

from contract.messages.pod import Drain, PodPlan
from contract.messages.volume import EmptyDir, Mount
from wasm_executor.container.plan import Preopen
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor.pods.lastwords import LastWords

PATH = "/v/sub/end"


class Desk:
    """Last words beside volumes."""

    def __init__(self, rig: VolumeRig) -> None:
        folder = rig.folder
        settings = ExecutorSettings(
            node_name="n", data_dir=folder / "data", run_dir=folder / "run", log_root=folder / "log"
        )
        self.rig = rig
        self.words = LastWords(settings, rig.volumes)

    async def plan(self, *mounts: Mount, drain: Drain = Drain.NONE, path: str = PATH) -> PodPlan:
        plan = pod(container(*mounts, message_path=path), e=EmptyDir(), f=EmptyDir())
        await self.rig.volumes.prepare(plan)
        return msgspec.structs.replace(plan, drain=drain)

    def start(self, plan: PodPlan, run: int = 0) -> tuple[Preopen, ...]:
        """Make a run's world, as `Worlds` does; return what the guest sees."""
        (c,) = plan.containers
        words = self.words.prepare(plan.uid, c, run)
        preopens = self.rig.volumes.preopens(plan, c, run, words)
        self.words.prepare_in_volume(plan.uid, c, run, plan.drain)
        return preopens

    def read(self, plan: PodPlan, run: int = 0) -> str:
        return self.words.read(plan, plan.containers[0], run, 1)

    def drains(self, plan: PodPlan, run: int = 0) -> bool:
        return self.words.place_drain_file(plan.uid, plan.containers[0], run)

    @property
    def volume(self) -> Path:
        return self.rig.empty_dir_of("e")


@pytest.fixture
def desk(rig: VolumeRig) -> Desk:
    return Desk(rig)


@pytest.mark.parametrize("at", ["/v/sub", "/v"])
async def test_message_lies_in_the_volume_that_is_mounted_there_or_above(
    desk: Desk, at: str
) -> None:
    plan = await desk.plan(mount("e", at))
    assert {each.guest_path for each in desk.start(plan)} == {at, "/"}
    file = desk.volume / PATH.removeprefix(at + "/")
    assert file.read_bytes() == b""
    assert file.stat().st_mode & 0o777 == 0o666
    file.write_text("said")
    assert desk.read(plan) == "said"


async def test_message_of_a_run_is_none_of_the_next_one(desk: Desk) -> None:
    plan = await desk.plan(mount("e", "/v"))
    desk.start(plan)
    (desk.volume / "sub" / "end").write_text("said")
    desk.start(plan, run=1)
    assert desk.read(plan, run=1) == ""


async def test_drain_file_appears_in_the_volume_and_is_gone_when_the_container_starts_again(
    desk: Desk,
) -> None:
    plan = await desk.plan(mount("e", "/v/sub"), drain=Drain.FILE)
    desk.start(plan)
    assert not (desk.volume / "drain").exists()
    assert desk.drains(plan)
    assert (desk.volume / "drain").exists()
    desk.start(plan, run=1)
    assert not (desk.volume / "drain").exists()


async def test_file_of_that_name_stays_where_nobody_drains_by_it(desk: Desk) -> None:
    plan = await desk.plan(mount("e", "/v/sub"))
    (desk.volume / "drain").write_text("a guest's own")
    desk.start(plan)
    assert (desk.volume / "drain").read_text() == "a guest's own"


async def test_container_starts_without_where_the_volume_is_read_only(desk: Desk) -> None:
    plan = await desk.plan(mount("e", "/v/sub", read_only=True), drain=Drain.FILE)
    (desk.volume / "end").write_text("of another")
    assert {each.guest_path for each in desk.start(plan)} == {"/v/sub", "/"}
    assert desk.read(plan) == ""
    assert not desk.drains(plan)
    assert (desk.volume / "end").read_text() == "of another"


async def test_folder_below_a_read_only_volume_and_below_a_mounted_root_is_the_runs_own(
    desk: Desk,
) -> None:
    for number, mounted in enumerate((mount("e", "/v", read_only=True), mount("e", "/"))):
        plan = await desk.plan(mounted)
        preopens = {each.guest_path: each for each in desk.start(plan, number)}
        own = Path(preopens["/v/sub"].host_path)
        (own / "end").write_text("said")
        assert desk.read(plan, number) == "said"
        assert not (desk.volume / "sub" / "end").exists()


async def test_deepest_mount_decides(desk: Desk) -> None:
    plan = await desk.plan(mount("e", "/v"), mount("f", "/v/sub"))
    desk.start(plan)
    assert (desk.rig.empty_dir_of("f") / "end").exists()
    assert not (desk.volume / "sub" / "end").exists()


async def test_symlinks_that_guests_have_left_lead_nowhere(desk: Desk, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "end").write_text("secret")
    plan = await desk.plan(mount("e", "/v"))
    (desk.volume / "sub").symlink_to(outside)
    desk.start(plan)
    assert desk.read(plan) == ""
    assert not desk.drains(plan)
    (desk.volume / "sub").unlink()
    (desk.volume / "sub").mkdir()
    (desk.volume / "sub" / "end").symlink_to(outside / "end")
    desk.start(plan, run=1)
    assert desk.read(plan, run=1) == ""
    assert (outside / "end").read_text() == "secret"
    assert [each.name for each in outside.iterdir()] == ["end"]


async def test_path_that_is_none_costs_the_message_alone(desk: Desk) -> None:
    plan = await desk.plan(mount("e", "/v"), path="/v/su\0b/end")
    desk.start(plan)
    assert desk.read(plan) == ""
    assert not desk.drains(plan)
