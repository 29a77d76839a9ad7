"""The supervisor's files: logs that rotate under a reader, the checkpoint, plans on tmpfs."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from executor_rig import SHARED_MEMORY
from podclock import plan_of

from contract.errors import CommandError
from contract.ids import ContainerName, PodUid
from contract.messages.form import STATIC_TERM
from wasm_executor.domain.checkpoint import ContainerRecord, PodRecord
from wasm_executor.domain.ordering import Rank
from wasm_executor.errors import RunDirectoryOnDiskError
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor.facts import node_facts
from wasm_executor.supervisor.logs.logfiles import START, Place, place_of_tail, read_on
from wasm_executor.supervisor.logs.serving import Cursor
from wasm_executor.supervisor.pods.checkpoints import SPARE_LINES, Checkpoint
from wasm_executor.supervisor.pods.plans import PlanStore, Standing, StoredPlan, require_memory

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def line(number: int) -> bytes:
    return b"2026-01-01T00:00:00.%09dZ stdout F %06d\n" % (number, number)


def write(path: Path, numbers: range, mode: str = "ab") -> None:
    with path.open(mode) as file:
        file.write(b"".join(map(line, numbers)))


def rotate(log: Path, stamp: str) -> None:
    log.rename(log.with_name(f"{log.name}.{stamp}"))


def numbers(data: bytes) -> list[int]:
    return [int(each.rsplit(b" ", 1)[1]) for each in data.splitlines()]


def read_all(log: Path, place: Place = START, size: int = 32768) -> tuple[list[int], Place]:
    found: list[int] = []
    while True:
        data, place = read_on(log, place, size)
        if not data:
            return found, place
        found += numbers(data)


def test_a_reader_goes_on_through_rotations_and_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    write(log, range(1000))
    data, place = read_on(log, START, 4096)
    seen = numbers(data)
    rotate(log, "20260101-000001")
    write(log, range(1000, 1500))
    rotate(log, "20260101-000001.1")
    write(log, range(1500, 2000))
    rest, place = read_all(log, place)
    assert seen + rest == list(range(2000))
    write(log, range(2000, 2001))
    assert read_all(log, place)[0] == [2000]


def test_a_reader_whose_file_was_pruned_goes_on_with_the_oldest_that_is_left(
    tmp_path: Path,
) -> None:
    log = tmp_path / "0.log"
    write(log, range(10))
    _, place = read_on(log, START, 200)
    rotate(log, "20260101-000001")
    write(log, range(10, 20))
    log.with_name("0.log.20260101-000001").unlink()
    assert read_all(log, place)[0] == list(range(10, 20))


def test_a_reader_whose_file_was_pruned_is_not_misled_by_a_new_one_of_the_same_inode(
    tmp_path: Path,
) -> None:
    log = tmp_path / "0.log"
    write(log, range(10))
    _, place = read_on(log, START, 200)
    log.unlink()
    write(log, range(10, 20))
    rotate(log, "20260101-000001")
    write(log, range(20, 30))
    for file in (log, log.with_name("0.log.20260101-000001")):
        reused = place._replace(inode=file.stat().st_ino)
        assert read_all(log, reused)[0] == list(range(10, 30))


def test_a_cursor_of_a_release_without_marks_goes_on_in_its_file(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    write(log, range(20))
    _, place = read_on(log, START, 200)
    marked = Cursor(PodUid("u"), ContainerName("c"), 0, place)
    unmarked = Cursor.parse(str(marked).rpartition("/")[0])
    assert unmarked.place._replace(mark=place.mark) == place
    assert read_all(log, unmarked.place)[0] == read_all(log, place)[0]
    rotate(log, "20260101-000001")
    write(log, range(20, 30))
    assert read_all(log, unmarked.place)[0] == read_all(log, place)[0]


@pytest.mark.parametrize("text", ["", "u/c/0/1", "u/c/0/1/2/3/4", "u/c/0/1/2/x"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="not a cursor"):
        Cursor.parse(text)


def test_a_reader_at_the_end_of_a_file_goes_on_behind_it_whatever_was_pruned_meanwhile(
    tmp_path: Path,
) -> None:
    log = tmp_path / "0.log"
    write(log, range(10))
    rotate(log, "20260101-000001")
    log.touch()
    ends = (read_all(log)[1], place_of_tail(log, 0))
    write(log, range(10, 20))
    rotate(log, "20260101-000002")
    write(log, range(20, 30))
    for end in ends:
        assert read_all(log, end)[0] == list(range(10, 30))
        reused = end._replace(inode=log.stat().st_ino)
        log.with_name("0.log.20260101-000001").unlink(missing_ok=True)
        assert read_all(log, reused)[0] == list(range(10, 30))


def test_a_line_that_is_being_written_is_not_torn(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    write(log, range(1))
    with log.open("ab") as file:
        file.write(line(1)[:10])
        file.flush()
        found, place = read_all(log)
        assert found == [0]
        file.write(line(1)[10:])
    assert read_all(log, place)[0] == [1]


def test_no_file_is_no_line(tmp_path: Path) -> None:
    assert read_on(tmp_path / "0.log", START, 100) == (b"", START)
    assert place_of_tail(tmp_path / "0.log", 5) == START


@pytest.mark.parametrize("wanted", [0, 1, 2, 10, 499, 500, 501, 1234, 3500, 4000, 5000])
def test_a_tail_is_found_from_the_end_across_files(tmp_path: Path, wanted: int) -> None:
    log = tmp_path / "0.log"
    write(log, range(3000))
    rotate(log, "20260101-000001")
    write(log, range(3000, 3500))
    rotate(log, "20260101-000002")
    write(log, range(3500, 4000))
    place = place_of_tail(log, wanted)
    assert read_all(log, place)[0] == list(range(max(0, 4000 - wanted), 4000))


def test_a_tail_of_an_empty_newest_file_reaches_into_the_older_one(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    write(log, range(10))
    rotate(log, "20260101-000001")
    log.touch()
    assert read_all(log, place_of_tail(log, 3))[0] == [7, 8, 9]


def record(uid: str, run: int) -> PodRecord:
    return PodRecord(
        uid=PodUid(uid),
        namespace="ns",
        name="pod",
        started_at=NOON,
        start_count=1,
        containers=(ContainerRecord(name=ContainerName("c"), run=run),),
    )


def test_the_last_record_of_a_pod_counts_and_a_forgotten_one_is_gone(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    checkpoint.keep(record("u-1", 1))
    checkpoint.keep(record("u-2", 1))
    checkpoint.keep(record("u-1", 2))
    checkpoint.drop(PodUid("u-2"))
    assert Checkpoint(tmp_path).records == {"u-1": record("u-1", 2)}


def test_a_torn_line_costs_that_line_only(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    checkpoint.keep(record("u-1", 1))
    checkpoint.keep(record("u-2", 1))
    path = tmp_path / "checkpoint.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    again = Checkpoint(tmp_path)
    assert again.records == {"u-1": record("u-1", 1)}
    again.keep(record("u-2", 5))
    assert Checkpoint(tmp_path).records[PodUid("u-2")] == record("u-2", 5)


async def test_the_checkpoint_does_not_grow_with_its_history(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    for run in range(3 * SPARE_LINES):
        checkpoint.keep(record("u-1", run))
        if run % 100 == 0:
            await checkpoint.sync()
    lines = (tmp_path / "checkpoint.jsonl").read_bytes().count(b"\n")
    assert lines <= SPARE_LINES + 5
    assert Checkpoint(tmp_path).records == {"u-1": record("u-1", 3 * SPARE_LINES - 1)}


def test_what_is_known_already_is_not_written_again(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    checkpoint.keep(record("u-1", 1))
    size = (tmp_path / "checkpoint.jsonl").stat().st_size
    checkpoint.keep(record("u-1", 1))
    assert (tmp_path / "checkpoint.jsonl").stat().st_size == size


def test_plans_are_for_nobody_else_to_read_and_come_back(tmp_path: Path) -> None:
    stored = StoredPlan(rank=Rank(term=STATIC_TERM, revision=1), digest="d", plan=plan_of())
    store = PlanStore(tmp_path)
    store.save(stored)
    store.save_standing(Standing(term=STATIC_TERM))
    for path in tmp_path.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    (tmp_path / "plans" / "u-9.new").write_bytes(b"half")
    (tmp_path / "plans" / "u-8").write_bytes(b"half")
    again = PlanStore(tmp_path)
    assert list(again.load()) == [stored]
    assert again.load_standing() == Standing(term=STATIC_TERM)
    again.drop(stored.plan.uid)
    assert list(again.load()) == []


def test_a_run_directory_on_a_disk_is_refused(tmp_path: Path) -> None:
    require_memory(SHARED_MEMORY)
    with pytest.raises(RunDirectoryOnDiskError, match="is not on tmpfs"):
        require_memory(tmp_path)


def test_a_machine_is_divided_by_its_executors_and_a_reserve_is_kept(tmp_path: Path) -> None:
    settings = ExecutorSettings(node_name="n", data_dir=tmp_path, run_dir=tmp_path)
    whole = node_facts(settings)
    assert whole.allocatable_cpu_millis == max(0, whole.cpu_millis - settings.reserved_cpu_millis)
    assert whole.allocatable_memory_bytes == whole.memory_bytes - settings.reserved_memory_bytes
    assert whole.runtime_version.startswith("wasmtime://")
    assert "wasi" in whole.runtimes
    assert whole.pods == 110
    for fact in (whole.boot_id, whole.kernel_version, whole.os_image):
        assert fact
