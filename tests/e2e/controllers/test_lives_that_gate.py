"""Controllers that go by what a pod's life says: a rollout by readiness, a Job by its sidecar."""

import json
from typing import Any

import pytest
from e2e.expectations import eventually
from e2e.history import Pod, is_available, uid_of
from e2e.images import Images
from e2e.obedient import NAME as PROGRAM
from e2e.obedient import does, obedient, part
from e2e.workloads import Kind, Workloads, replicated, template

NAME = "gated"
ROLLOUT = ("rollout", "status", f"deployment/{NAME}", "--timeout=40s")
REPLICAS = 2
NEVER_READY = does("exit1", periodSeconds=1)
READY = does("exit0", periodSeconds=1)


@pytest.fixture(scope="session")
def image(images: Images) -> str:
    return images.push(obedient(), PROGRAM)


def test_a_rollout_waits_for_pods_that_are_not_ready_and_takes_none_away_for_them(
    workloads: Workloads, image: str
) -> None:
    create(workloads, image, READY)
    workloads.kubectl(*ROLLOUT)
    before = {uid_of(each) for each in workloads.pods.all()}
    history = workloads.history()
    patch(workloads, image, NEVER_READY)
    (newcomer,) = eventually(lambda: running(workloads, before))
    assert "timed out" in workloads.complaint(*ROLLOUT[:-1], "--timeout=2s")
    name = newcomer["metadata"]["name"]
    assert workloads.pods.container(name)["started"] is True
    assert {uid_of(each) for each in workloads.pods.all() if is_available(each)} == before

    patch(workloads, image, does("exit0", periodSeconds=2))
    assert "successfully rolled out" in workloads.kubectl(*ROLLOUT)
    eventually(lambda: len(workloads.pods.all()) == REPLICAS)
    after = {uid_of(each) for each in workloads.pods.all()}
    assert not after & (before | {uid_of(newcomer)})
    assert min(moment.count(is_available) for moment in history.moments()) >= REPLICAS


def test_a_job_completes_when_its_work_is_done_though_a_sidecar_would_go_on(
    workloads: Workloads, image: str
) -> None:
    pods = template(NAME, image, restart="Never", args=["say", "done"])
    pods["spec"]["initContainers"] = [part("helper", image, "sleep", restartPolicy="Always")]
    workloads.create(Kind.JOB, NAME, {"template": pods, "backoffLimit": 0})
    workloads.kubectl("wait", f"job/{NAME}", "--for=condition=Complete", "--timeout=40s")
    (done,) = workloads.pods.all()
    assert done["status"]["phase"] == "Succeeded"
    (helper,) = done["status"]["initContainerStatuses"]
    assert helper["state"]["terminated"]["exitCode"] == 143
    assert helper["restartCount"] == 0
    assert workloads.pods.logs(done["metadata"]["name"], "--container=main") == "done\n"
    assert workloads.status(Kind.JOB, NAME)["succeeded"] == 1


def create(workloads: Workloads, image: str, probe: dict[str, Any]) -> None:
    spec = replicated(NAME, image, REPLICAS)
    limits = {"maxUnavailable": 0, "maxSurge": 1}
    spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": limits}
    (container,) = spec["template"]["spec"]["containers"]
    container |= {"args": ["sleep"], "readinessProbe": probe}
    workloads.create(Kind.DEPLOYMENT, NAME, spec)


def patch(workloads: Workloads, image: str, probe: dict[str, Any]) -> None:
    container = part("main", image, "sleep", readinessProbe=probe)
    change = {"spec": {"template": {"spec": {"containers": [container]}}}}
    workloads.kubectl("patch", f"deployment/{NAME}", "--type=strategic", f"-p={json.dumps(change)}")


def running(workloads: Workloads, others_than: set[str]) -> list[Pod]:
    """The pods that run and are none of these."""
    pods = [each for each in workloads.pods.all() if uid_of(each) not in others_than]
    return [each for each in pods if each["status"].get("phase") == "Running"]
