"""How long restarts and pulls wait."""

from datetime import UTC, datetime, timedelta

import pytest

from wasm_executor.domain.backoff import (
    BackOff,
    BackOffRules,
    after_crash,
    after_image_failure,
    go_duration,
)

RULES = BackOffRules()
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_crashes_wait_nothing_then_ten_seconds_doubling_to_five_minutes() -> None:
    entry, at, waits = None, NOON, []
    for _ in range(8):
        delay = after_crash(entry, 1.0, at, RULES)
        waits.append(delay.seconds)
        entry = delay.following
        at = entry.updated_at + timedelta(seconds=1)
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]


@pytest.mark.parametrize(("ran_s", "wait_s"), [(600, 40), (601, 0)])
def test_a_run_of_more_than_ten_minutes_since_the_last_restart_starts_over(
    ran_s: float, wait_s: float
) -> None:
    entry = BackOff(delay_s=40, updated_at=NOON)
    delay = after_crash(entry, ran_s, NOON + timedelta(seconds=ran_s), RULES)
    assert delay.seconds == wait_s


def test_image_failures_wait_from_the_first_one_on() -> None:
    entry, waits = None, []
    for _ in range(7):
        delay = after_image_failure(entry, NOON, RULES)
        waits.append(delay.seconds)
        entry = delay.following
    assert waits == [10, 20, 40, 80, 160, 300, 300]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.5, "500ms"),
        (10, "10s"),
        (20, "20s"),
        (80, "1m20s"),
        (160, "2m40s"),
        (300, "5m0s"),
        (1.5, "1.5s"),
        (3600, "1h0m0s"),
    ],
)
def test_delays_are_written_as_go_writes_them(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
