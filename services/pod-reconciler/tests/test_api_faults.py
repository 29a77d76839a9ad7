"""What the API server may do to a write, and what it may show, without a pod being harmed."""

from aiohttp import web
from reconciler_api import PodApi, failure
from reconciler_objects import api_pod
from reconciler_peer import (
    NODE,
    Executor,
    Registrar,
    StartReconciler,
    container,
    ended,
    running,
    until,
)
from reconciler_running import started


async def test_a_write_that_fails_is_tried_until_the_status_is_right(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    failures = [failure(503, "ServiceUnavailable", "etcd is away") for _ in range(3)]
    api.refuse = lambda _: failures.pop() if failures else None
    async with reconciler():
        await started(api, registrar, executor)
        assert len(api.status_writes("p")) == 4


async def test_writes_of_one_pod_never_overlap_and_only_the_newest_is_sent_after_a_failure(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler(write_backoff_s=0.5, write_backoff_max_s=0.5):
        await started(api, registrar, executor)
        api.available = False
        for count in range(1, 6):
            await executor.report(
                "u-1", container(running(), restart_count=count, last_state=ended(1))
            )
        await executor.report("u-1", container(running(), restart_count=6, last_state=ended(1)))
        await until(lambda: api.refused_count >= 1)
        api.available = True
        await until(lambda: api.pod("p")["status"]["containerStatuses"][0]["restartCount"] == 6)
        assert len(api.status_writes("p")) == 2


async def test_a_write_whose_answer_was_lost_is_repeated_with_the_same_times(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler(write_backoff_s=1.2, write_backoff_max_s=1.2):
        await started(api, registrar, executor)
        api.mute, api.lost_answers = True, 1  # the watch lags
        await executor.report("u-1", container(running(), ready=False))
        await until(lambda: len(api.status_writes("p")) == 2)
        first = times_of(api)
        await until(lambda: len(api.status_writes("p")) == 3)
        await until(lambda: api.lost_answers == 0)
        assert times_of(api) == first

        await executor.report("u-1", container(running(), ready=True))
        await until(lambda: len(api.status_writes("p")) == 4)
        assert times_of(api)["Ready"] > first["Ready"]


def times_of(api: PodApi) -> dict[str, str]:
    conditions = api.pod("p")["status"]["conditions"]
    return {each["type"]: each["lastTransitionTime"] for each in conditions}


async def test_a_write_that_is_refused_waits_for_long_or_for_the_next_report(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler(write_backoff_s=0.001, write_backoff_max_s=0.001):
        await started(api, registrar, executor)
        invalid = failure(422, "Invalid", "may not be transitioned")
        api.refuse = lambda write: invalid if "/pods/p/" in write.path else None
        await executor.report("u-1", container(running(), restart_count=1, last_state=ended(1)))
        await until(lambda: len(api.status_writes("p")) == 2)
        api.create(api_pod("q", "u-2", NODE))
        await until(lambda: "u-2" in executor.plans)
        await executor.report("u-2", container(running()))
        await until(lambda: api.pod("q")["status"]["phase"] == "Running")
        assert len(api.status_writes("p")) == 2

        api.refuse = lambda _: None
        await executor.report("u-1", container(running(), restart_count=2, last_state=ended(1)))
        await until(lambda: api.pod("p")["status"]["containerStatuses"][0]["restartCount"] == 2)


async def test_a_status_that_was_refused_is_sent_again_when_a_role_may_be_there(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler(write_refused_retry_s=0.2):
        await started(api, registrar, executor)
        refusals = [failure(403, "Forbidden", "no role") for _ in range(2)]
        api.refuse = lambda _: refusals.pop() if refusals else None
        await executor.report("u-1", container(ended(0)), stopped=True)
        await until(lambda: api.pod("p")["status"]["phase"] == "Succeeded")
        assert not refusals


async def test_a_status_that_is_refused_does_not_keep_a_pod_that_is_deleted(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await started(api, registrar, executor)
        invalid = failure(422, "Invalid", "may not be transitioned")
        api.refuse = lambda write: invalid if write.method == "PATCH" else None
        api.delete("p")
        await executor.report("u-1", container(ended(143)), stopped=True)
        await until(lambda: api.deletions("p"))


async def test_a_pod_of_the_same_name_is_never_hit_by_the_old_ones_status(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await started(api, registrar, executor)
        api.mute = True  # the watch lags
        api.delete("p", grace_s=0)
        api.create(api_pod("p", "u-2", NODE))
        await executor.report("u-1", container(ended(1)), stopped=True)
        await until(lambda: executor.forgotten)
        assert executor.forgotten[0].uid == "u-1"
        assert api.pod("p")["status"]["phase"] == "Pending"
        assert api.pod("p")["metadata"]["uid"] == "u-2"
        assert not api.deletions("p")

        api.mute = False
        api.end_watches()
        await until(lambda: "u-2" in executor.plans)


async def test_a_proxys_404_does_not_count_as_gone(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await started(api, registrar, executor)
        answers = [web.Response(status=404, text="404 page not found") for _ in range(4)]
        api.gate = lambda _: answers.pop() if answers else None
        await executor.report("u-1", container(running(), restart_count=1, last_state=ended(1)))
        await until(lambda: api.pod("p")["status"]["containerStatuses"][0]["restartCount"] == 1)
        assert not executor.forgotten


async def test_a_forced_deletion_makes_the_node_forget(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await started(api, registrar, executor)
        api.delete("p", grace_s=0)
        await until(lambda: executor.forgotten)
        assert len(api.status_writes("p")) == 1


async def test_an_api_server_away_stops_nothing_and_the_end_is_written_when_it_is_back(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await started(api, registrar, executor)
        api.available = False
        api.end_watches()
        await executor.report("u-1", container(running(), restart_count=1, last_state=ended(1)))
        await until(lambda: api.refused_count > 5)
        assert not executor.forgotten
        assert executor.deletion_of("u-1") is None
        api.available = True
        await until(lambda: api.pod("p")["status"]["containerStatuses"][0]["restartCount"] == 1)


async def test_a_pod_with_an_unknown_field_ends_failed_and_says_which(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE, teleport=True))
        await until(lambda: api.pod("p")["status"]["phase"] == "Failed")
        status = api.pod("p")["status"]
        assert status["reason"] == "PodFeatureUnsupported"
        assert status["message"] == "Pod was rejected: spec.teleport: this field is not known"
        event = (await until(lambda: api.events))[0]
        assert event["type"] == "Warning"
        assert event["source"] == {"component": "kubelet", "host": NODE}
        assert "spec.teleport" in event["message"]
        assert not executor.applied
        assert len(api.status_writes("p")) == 1


async def test_an_ignored_field_is_told_once_even_over_a_restart(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    pod = api_pod("p", "u-1", NODE, securityContext={"runAsUser": 1})
    async with reconciler():
        await registrar.grant()
        api.create(pod)
        await until(lambda: executor.applied)
        await executor.report("u-1", container(running()))
        await until(lambda: api.pod("p")["status"]["phase"] == "Running")
        event = (await until(lambda: api.events))[0]
        assert event["type"] == "Normal"
        assert event["message"].startswith("spec.securityContext.runAsUser: ")
    async with reconciler():
        api.create(api_pod("next", "u-2", NODE, teleport=True))
        await until(lambda: len(api.events) == 2)
        assert "spec.teleport" in api.events[1]["message"]
