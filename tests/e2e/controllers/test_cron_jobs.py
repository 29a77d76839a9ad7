"""What users expect of a CronJob: a Job when they ask for one, and one at each minute."""

from typing import Any

import pytest
from e2e import guests
from e2e.expectations import eventually
from e2e.images import Images
from e2e.workloads import Kind, Workloads, template

NAME = "nightly"
BY_HAND = "by-hand"
NEVER_IN_A_TEST = "0 0 29 2 *"
EACH_MINUTE = "* * * * *"


@pytest.fixture(scope="session")
def reporting(images: Images) -> str:
    return images.push(guests.prints("reported\n"), "cron-job")


def test_a_job_made_by_hand_from_a_cron_job_runs_its_template(
    workloads: Workloads, reporting: str
) -> None:
    create(workloads, reporting, NEVER_IN_A_TEST)
    workloads.kubectl("create", "job", BY_HAND, f"--from=cronjob/{NAME}")
    workloads.kubectl("wait", "--for=condition=Complete", f"job/{BY_HAND}", "--timeout=30s")
    (owner,) = workloads.get(Kind.JOB, BY_HAND)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("CronJob", NAME)
    assert workloads.kubectl("logs", f"job/{BY_HAND}") == "reported\n"


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_a_cron_job_runs_a_job_at_the_next_minute(workloads: Workloads, reporting: str) -> None:
    create(workloads, reporting, EACH_MINUTE)
    status = eventually(lambda: successful(workloads), within_s=90)
    assert status["lastScheduleTime"].endswith(":00Z")
    (pod,) = workloads.pods.all()
    assert workloads.pods.logs(pod["metadata"]["name"]) == "reported\n"


def create(workloads: Workloads, image: str, schedule: str) -> None:
    job = {"template": template(NAME, image, restart="Never")}
    workloads.create(Kind.CRON_JOB, NAME, {"schedule": schedule, "jobTemplate": {"spec": job}})


def successful(workloads: Workloads) -> dict[str, Any]:
    """The CronJob's status, once a Job of it has succeeded."""
    status = workloads.status(Kind.CRON_JOB, NAME)
    assert status.get("lastSuccessfulTime"), status
    return status
