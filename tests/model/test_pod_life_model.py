"""A pod's life under everything that may happen to it: users, guests, the bus, crashes, clocks.

Both pure domains run, with a model of all that lies between and around them. At each step the API
server's own validation and the promises to users hold; and once the faults end, the API shows what
is, and what was deleted is gone.
"""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from podmodel.machine import PodLife

QUICK = settings(
    max_examples=200,
    stateful_step_count=30,
    derandomize=True,
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


def test_every_promise_of_a_pod_s_life_holds_under_all_that_may_happen() -> None:
    run_state_machine_as_test(PodLife, settings=QUICK)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_promise_holds_for_thousands_of_histories() -> None:
    thorough = settings(QUICK, max_examples=4000, stateful_step_count=40)
    run_state_machine_as_test(PodLife, settings=thorough)
