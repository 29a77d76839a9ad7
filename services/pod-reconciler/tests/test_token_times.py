"""When a token is renewed: never after a day, never in the last fifth of its life."""

import pytest

from pod_reconciler.tokens import Held, use_s

DAY_S = 24 * 3600.0


@pytest.mark.parametrize(
    ("life_s", "latest_s"),
    [(600, 480), (3607, 2885.6), (DAY_S, 0.8 * DAY_S), (2 * DAY_S, DAY_S), (365 * DAY_S, DAY_S)],
)
def test_a_token_is_used_for_four_fifths_of_its_life_or_a_day(
    life_s: float, latest_s: float
) -> None:
    assert use_s(life_s, 0.0) == pytest.approx(latest_s)
    assert 0.95 * latest_s <= use_s(life_s, 1.0) < latest_s


def test_no_token_is_printed() -> None:
    held = Held(text="secret", renew_at_s=1.0, ends_at_s=2.0)
    assert "secret" not in f"{held!r} {held}"
