"""When to pull, and the words that users and dashboards look for."""

import pytest

from contract.messages.pull import PullPolicy
from wasm_executor.images import policy
from wasm_executor.images.errors import (
    CompileError,
    ImageError,
    ImageNeverPullError,
    ImagePullError,
    InvalidImageNameError,
)
from wasm_executor.images.policy import Decision


def test_every_policy_has_a_decision_for_both_cases() -> None:
    assert set(policy.DECISIONS) == {(each, here) for each in PullPolicy for here in (True, False)}


@pytest.mark.parametrize(
    ("chosen", "present", "decision"),
    [
        (PullPolicy.ALWAYS, True, Decision.PULL),
        (PullPolicy.IF_NOT_PRESENT, True, Decision.USE),
        (PullPolicy.IF_NOT_PRESENT, False, Decision.PULL),
        (PullPolicy.NEVER, False, Decision.REFUSE),
    ],
)
def test_always_asks_the_registry_even_for_a_present_image(
    chosen: PullPolicy,
    present: bool,  # noqa: FBT001  # a column of the table
    decision: Decision,
) -> None:
    assert policy.decide(chosen, present=present) is decision


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            ImageNeverPullError("h.io/a"),
            [
                (
                    "ErrImageNeverPull",
                    'Container image "h.io/a" is not present with pull policy of Never',
                ),
                ("Failed", "Error: ErrImageNeverPull"),
            ],
        ),
        (
            ImagePullError("ErrImagePull", "no such host"),
            [
                ("Failed", 'Failed to pull image "h.io/a": no such host'),
                ("Failed", "Error: ErrImagePull"),
            ],
        ),
        (
            InvalidImageNameError("h.io/a", "invalid reference format"),
            [
                (
                    "InspectFailed",
                    (
                        'Failed to apply default image tag "h.io/a": '
                        'couldn\'t parse image name "h.io/a": invalid reference format'
                    ),
                ),
                ("Failed", "Error: InvalidImageName"),
            ],
        ),
        (CompileError("half a file"), [("Failed", "Error: half a file")]),
    ],
)
def test_a_failure_is_two_warnings_and_a_compile_error_one(
    error: ImageError, expected: list[tuple[str, str]]
) -> None:
    events = policy.failure_events("h.io/a", error)
    assert [(event.reason, event.message) for event in events] == expected
    assert {event.type for event in events} == {"Warning"}


def test_the_pulled_event_names_both_durations_and_the_size() -> None:
    event = policy.pulled("h.io/a", pull_s=1.2, waited_s=61.5, size_bytes=42)
    assert event.message == (
        'Successfully pulled image "h.io/a" in 1.2s (1m1.5s including waiting). '
        "Image size: 42 bytes."
    )


def test_back_off_repeats_the_last_error() -> None:
    error = policy.registry_unavailable("h.io/a:latest", "503")
    assert policy.back_off_message("h.io/a", error) == (
        'Back-off pulling image "h.io/a": RegistryUnavailable: '
        "image pull failed for h.io/a:latest because the registry is unavailable: 503"
    )
