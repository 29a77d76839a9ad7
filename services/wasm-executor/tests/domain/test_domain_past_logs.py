"""Which run's log answers for a pod that has a record and no plan."""

from datetime import UTC, datetime

import pytest

from contract.ids import ContainerName, PodUid
from wasm_executor.domain.checkpoint import ContainerRecord, PodRecord
from wasm_executor.domain.logs import NoLogError, past_has_ended, past_run_to_read


def record_of(**past: object) -> PodRecord:
    container = ContainerRecord(name=ContainerName("c"), **past)  # type: ignore[arg-type]  # by name
    return PodRecord(
        uid=PodUid("u-1"),
        namespace="default",
        name="p",
        started_at=datetime(2026, 1, 2, tzinfo=UTC),
        start_count=3,
        containers=(container,),
    )


@pytest.mark.parametrize(
    ("kept", "previous", "run"), [((4, 7), False, 7), ((4, 7), True, 4), ((0,), False, 0)]
)
def test_the_files_that_are_left_say_which_run_is_read(
    kept: tuple[int, ...], run: int, *, previous: bool
) -> None:
    assert past_run_to_read(record_of(run=7), "c", kept, previous=previous) == run


@pytest.mark.parametrize(
    ("past", "previous", "code", "text"),
    [
        ({"run": 0}, True, 400, 'previous terminated container "c" in pod "p" not found'),
        ({}, False, 400, 'container "c" in pod "p" is not available'),
        ({"ended": True}, False, 400, 'container "c" in pod "p" is terminated'),
    ],
)
def test_what_left_no_log_is_refused_in_the_words_of_the_kubelet(
    past: dict[str, object], code: int, text: str, *, previous: bool
) -> None:
    with pytest.raises(NoLogError) as refusal:
        past_run_to_read(record_of(**past), "c", (), previous=previous)
    assert (refusal.value.code, refusal.value.text) == (code, text)


def test_a_run_without_a_plan_goes_on_as_long_as_its_keeper_and_it_live() -> None:
    running = record_of(run=2, underway=True)
    assert not past_has_ended(running, "c", 2, life=3)
    assert past_has_ended(running, "c", 1, life=3)
    assert past_has_ended(running, "c", 2, life=4)
    assert past_has_ended(record_of(run=2), "c", 2, life=3)
