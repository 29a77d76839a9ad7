"""When a Lease is renewed."""

import pytest

from node_registrar.domain.liveness import VERDICTS, Beat, Health, Verdict, beat_of, verdict


def test_every_case_has_a_verdict() -> None:
    assert set(VERDICTS) == set(Beat)
    assert all(set(row) == set(Health) for row in VERDICTS.values())


@pytest.mark.parametrize(
    ("heard_at", "expected"),
    [(None, Beat.STALE), (85.0, Beat.STALE), (85.1, Beat.FRESH), (100.0, Beat.FRESH)],
)
def test_a_beat_is_fresh_for_less_than_its_time(heard_at: float | None, expected: Beat) -> None:
    assert beat_of(heard_at, 100.0, 15.0) is expected


def test_no_lease_is_let_go_before_healthz_was_asked() -> None:
    assert verdict(Beat.STALE, Health.UNASKED) is Verdict.ASK
    assert verdict(Beat.STALE, Health.OK) is Verdict.RENEW
    assert verdict(Beat.STALE, Health.FAILED) is Verdict.LET_GO


def test_a_fresh_beat_is_proof_whatever_healthz_said_before() -> None:
    assert {verdict(Beat.FRESH, health) for health in Health} == {Verdict.RENEW}
