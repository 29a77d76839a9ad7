"""What users expect of a Deployment: rolling updates that never go too far, and a way back."""

from typing import Any

from e2e.expectations import eventually
from e2e.history import History, is_available, is_deleting
from e2e.workloads import Kind, Workloads, replicated

NAME = "web"
ROLLOUT = ("rollout", "status", f"deployment/{NAME}", "--timeout=40s")
REPLICAS = 3


def test_a_rolling_update_puts_new_pods_for_old_and_never_has_too_few_or_too_many(
    workloads: Workloads, first_image: str, second_image: str
) -> None:
    create(workloads, first_image, max_unavailable=1, max_surge=1)
    assert "successfully rolled out" in workloads.kubectl(*ROLLOUT)
    before = uids(workloads)
    history, wanted = workloads.history(), workloads.history(Kind.REPLICA_SET)
    workloads.kubectl("set", "image", f"deployment/{NAME}", f"main={second_image}")
    assert "successfully rolled out" in workloads.kubectl(*ROLLOUT)
    eventually(lambda: len(workloads.pods.all()) == REPLICAS)
    assert images(workloads) == {second_image}
    workloads.await_shown("second\n")
    assert not before & uids(workloads)
    assert fewest_available(history) >= REPLICAS - 1
    # The controller counts what it tells ReplicaSets to have. One pod more may be there for a
    # moment: an old one that its ReplicaSet is about to delete.
    assert most_wanted(wanted) == REPLICAS + 1
    assert most_at_once(history) <= REPLICAS + 2


def test_undo_brings_the_former_image_back_and_never_has_too_few(
    workloads: Workloads, first_image: str, second_image: str
) -> None:
    create(workloads, first_image, max_unavailable=0, max_surge=1)
    workloads.kubectl(*ROLLOUT)
    workloads.kubectl("set", "image", f"deployment/{NAME}", f"main={second_image}")
    workloads.kubectl(*ROLLOUT)
    history = workloads.history()
    workloads.kubectl("rollout", "undo", f"deployment/{NAME}")
    workloads.kubectl(*ROLLOUT)
    eventually(lambda: len(workloads.pods.all()) == REPLICAS)
    assert images(workloads) == {first_image}
    workloads.await_shown("first\n")
    assert fewest_available(history) >= REPLICAS
    annotations = workloads.get(Kind.DEPLOYMENT, NAME)["metadata"]["annotations"]
    assert annotations["deployment.kubernetes.io/revision"] == "3"


def test_a_rollout_to_an_image_that_is_not_there_takes_no_pod_away_and_can_be_undone(
    workloads: Workloads, first_image: str
) -> None:
    create(workloads, first_image, max_unavailable=0, max_surge=1)
    workloads.kubectl(*ROLLOUT)
    before = uids(workloads)
    workloads.kubectl("set", "image", f"deployment/{NAME}", f"main={first_image}-not-there")
    eventually(lambda: any(is_pulling_in_vain(each) for each in workloads.pods.all()))
    complaint = workloads.complaint("rollout", "status", f"deployment/{NAME}", "--timeout=1s")
    assert "timed out" in complaint
    available = [each for each in workloads.pods.all() if is_available(each)]
    assert {each["metadata"]["uid"] for each in available} == before
    workloads.kubectl("rollout", "undo", f"deployment/{NAME}")
    workloads.kubectl(*ROLLOUT)
    eventually(lambda: uids(workloads) == before)


def create(workloads: Workloads, image: str, *, max_unavailable: int, max_surge: int) -> None:
    limits = {"maxUnavailable": max_unavailable, "maxSurge": max_surge}
    strategy = {"type": "RollingUpdate", "rollingUpdate": limits}
    spec = replicated(NAME, image, REPLICAS) | {"strategy": strategy}
    workloads.create(Kind.DEPLOYMENT, NAME, spec)


def uids(workloads: Workloads) -> set[str]:
    return {each["metadata"]["uid"] for each in workloads.pods.all()}


def images(workloads: Workloads) -> set[str]:
    """What the pods' statuses say that they run."""
    return {
        status["image"]
        for each in workloads.pods.all()
        for status in each["status"]["containerStatuses"]
    }


def is_pulling_in_vain(pod: dict[str, Any]) -> bool:
    statuses = pod["status"].get("containerStatuses", [])
    reasons = {each["state"].get("waiting", {}).get("reason") for each in statuses}
    return bool(reasons & {"ErrImagePull", "ImagePullBackOff"})


def fewest_available(history: History) -> int:
    return min(moment.count(is_available) for moment in history.moments())


def most_at_once(history: History) -> int:
    """Those that are on their way out do not count: Kubernetes does not count them either."""
    return max(moment.count(lambda pod: not is_deleting(pod)) for moment in history.moments())


def most_wanted(history: History) -> int:
    """The most pods that all ReplicaSets were told to have, at any moment."""
    most: int = max(
        sum(each["spec"]["replicas"] for each in moment.pods.values())
        for moment in history.moments()
    )
    return most
