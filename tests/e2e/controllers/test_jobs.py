"""What users expect of a Job: so many pods that succeed, so many at once, and an end to failing."""

from typing import Any

import pytest
from e2e import guests
from e2e.expectations import eventually
from e2e.history import ADDED, is_over
from e2e.images import Images
from e2e.workloads import Kind, Workloads, template

NAME = "work"
BAD_INPUT = 42


@pytest.fixture(scope="session")
def succeeding(images: Images) -> str:
    return images.push(guests.prints("done\n"), "job-succeeds")


@pytest.fixture(scope="session")
def failing(images: Images) -> str:
    return images.push(guests.exits(1), "job-fails")


@pytest.fixture(scope="session")
def bad_input(images: Images) -> str:
    return images.push(guests.exits(BAD_INPUT), "job-bad-input")


@pytest.fixture(scope="session")
def showing_environment(images: Images) -> str:
    return images.push(guests.shows_environment(), "job-environment")


def test_a_job_has_as_many_successes_as_asked_and_no_more_pods_at_once_than_allowed(
    workloads: Workloads, succeeding: str
) -> None:
    history = workloads.history()
    create(workloads, succeeding, completions=4, parallelism=2)
    await_condition(workloads, "Complete")
    status = workloads.status(Kind.JOB, NAME)
    assert status["succeeded"] == 4
    assert "failed" not in status
    moments = history.moments()
    assert len([moment for moment in moments if moment.kind == ADDED]) == 4
    assert max(moment.count(lambda pod: not is_over(pod)) for moment in moments) == 2
    assert {workloads.pods.logs(name) for name in moments[-1].pods} == {"done\n"}


def test_a_job_whose_pods_fail_more_often_than_its_backoff_limit_is_failed(
    workloads: Workloads, failing: str
) -> None:
    create(workloads, failing, completions=2, parallelism=2, backoffLimit=1)
    failed = await_condition(workloads, "Failed")
    assert failed["reason"] == "BackoffLimitExceeded"
    assert workloads.status(Kind.JOB, NAME)["failed"] == 2


def test_restarts_in_place_count_towards_the_backoff_limit(
    workloads: Workloads, failing: str
) -> None:
    history = workloads.history()
    create(workloads, failing, restart="OnFailure", backoffLimit=1)
    failed = await_condition(workloads, "Failed")
    assert failed["reason"] == "BackoffLimitExceeded"
    moments = history.moments()
    assert len({moment.name for moment in moments}) == 1
    assert restarts(moments[-1].pod) >= 1


def test_an_exit_code_that_the_failure_policy_names_fails_the_job_at_once(
    workloads: Workloads, bad_input: str
) -> None:
    exit_codes = {"containerName": "main", "operator": "In", "values": [BAD_INPUT]}
    rules = [{"action": "FailJob", "onExitCodes": exit_codes}]
    history = workloads.history()
    create(workloads, bad_input, backoffLimit=6, podFailurePolicy={"rules": rules})
    failed = await_condition(workloads, "Failed")
    assert failed["reason"] == "PodFailurePolicy"
    assert f"failed with exit code {BAD_INPUT} matching FailJob rule" in failed["message"]
    assert len({moment.name for moment in history.moments()}) == 1


def test_each_pod_of_an_indexed_job_knows_its_index(
    workloads: Workloads, showing_environment: str
) -> None:
    create(workloads, showing_environment, completions=3, parallelism=3, completionMode="Indexed")
    await_condition(workloads, "Complete")
    assert workloads.status(Kind.JOB, NAME)["completedIndexes"] == "0-2"
    seen = {
        pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]: environment(
            workloads, pod
        )["JOB_COMPLETION_INDEX"]
        for pod in workloads.pods.all()
    }
    assert seen == {"0": "0", "1": "1", "2": "2"}


def test_a_job_that_takes_longer_than_its_deadline_is_failed_and_its_pods_go(
    workloads: Workloads, first_image: str
) -> None:
    create(workloads, first_image, activeDeadlineSeconds=1)
    failed = await_condition(workloads, "Failed")
    assert failed["reason"] == "DeadlineExceeded"
    eventually(lambda: not workloads.pods.all())


def create(workloads: Workloads, image: str, *, restart: str = "Never", **spec: Any) -> None:
    workloads.create(Kind.JOB, NAME, {"template": template(NAME, image, restart=restart), **spec})


def await_condition(workloads: Workloads, kind: str) -> dict[str, Any]:
    """The Job's condition of this type, once it is true."""

    def ask() -> dict[str, Any]:
        conditions = workloads.status(Kind.JOB, NAME).get("conditions", [])
        found: dict[str, dict[str, Any]] = {each["type"]: each for each in conditions}
        assert found.get(kind, {}).get("status") == "True", conditions
        return found[kind]

    return eventually(ask)


def restarts(pod: dict[str, Any]) -> int:
    (status,) = pod["status"]["containerStatuses"]
    return int(status["restartCount"])


def environment(workloads: Workloads, pod: dict[str, Any]) -> dict[str, str]:
    lines = workloads.pods.logs(pod["metadata"]["name"]).splitlines()
    return dict(line.split("=", 1) for line in lines)
