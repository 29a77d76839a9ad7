"""What users expect of a StatefulSet: names that stay, and one step after the other."""

from e2e.expectations import eventually
from e2e.history import ADDED, DELETED, is_available, is_deleting, name_of, uid_of
from e2e.workloads import Kind, Workloads, replicated

NAME = "db"
ROLLOUT = ("rollout", "status", f"statefulset/{NAME}", "--timeout=40s")


def test_pods_start_in_the_order_of_their_names_each_when_those_before_it_are_ready(
    workloads: Workloads, first_image: str
) -> None:
    history = workloads.history()
    create(workloads, first_image, 3)
    added = [moment for moment in history.moments() if moment.kind == ADDED]
    assert [moment.name for moment in added] == ["db-0", "db-1", "db-2"]
    assert [moment.count(is_available) for moment in added] == [0, 1, 2]


def test_a_deleted_pod_comes_back_as_another_pod_of_its_name(
    workloads: Workloads, first_image: str
) -> None:
    create(workloads, first_image, 2)
    before = uids(workloads)
    workloads.kubectl("delete", "pod", "db-0")
    eventually(lambda: is_available(workloads.pods.get("db-0")))
    after = uids(workloads)
    assert set(after) == set(before)
    assert after["db-0"] != before["db-0"]
    assert after["db-1"] == before["db-1"]
    assert workloads.pods.container("db-0")["restartCount"] == 0
    workloads.await_shown("first\n")


def test_scaling_down_takes_the_last_first_and_waits_until_it_is_gone(
    workloads: Workloads, first_image: str
) -> None:
    create(workloads, first_image, 3)
    history = workloads.history()
    workloads.kubectl("scale", f"statefulset/{NAME}", "--replicas=0")
    history.await_end()
    leaving: list[str] = []
    for moment in history.moments():
        if is_deleting(moment.pod) and moment.name not in leaving:
            leaving.append(moment.name)
            assert set(moment.pods) == {"db-0", "db-1", "db-2"} - set(leaving[:-1])
    assert leaving == ["db-2", "db-1", "db-0"]


def test_a_rolling_update_goes_from_the_last_pod_to_the_first_one_at_a_time(
    workloads: Workloads, first_image: str, second_image: str
) -> None:
    create(workloads, first_image, 3)
    history = workloads.history()
    workloads.kubectl("set", "image", f"statefulset/{NAME}", f"main={second_image}")
    workloads.kubectl(*ROLLOUT)
    moments = history.moments()
    gone = [moment.name for moment in moments if moment.kind == DELETED]
    assert gone == ["db-2", "db-1", "db-0"]
    assert min(moment.count(is_available) for moment in moments) == 2
    assert set(uids(workloads)) == {"db-0", "db-1", "db-2"}
    workloads.await_shown("second\n")


def create(workloads: Workloads, image: str, replicas: int) -> None:
    """Returns when all pods are ready. Its Service need not be there: nobody asks for names."""
    workloads.create(
        Kind.STATEFUL_SET, NAME, replicated(NAME, image, replicas) | {"serviceName": NAME}
    )
    workloads.kubectl(*ROLLOUT)


def uids(workloads: Workloads) -> dict[str, str]:
    return {name_of(each): uid_of(each) for each in workloads.pods.all()}
