"""The way of a pod through a reconciler: bound, planned, reported, written, deleted, forgotten."""

from reconciler_api import PodApi
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

from contract.messages.report import Waiting


async def test_a_pod_runs_and_ends_with_one_write_each(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE))
        apply = (await until(lambda: executor.applied))[0]
        assert apply.plan is not None
        assert apply.plan.containers[0].image == "registry.example/guest:1"

        await executor.report("u-1", container(running()))
        await until(lambda: api.pod("p")["status"]["phase"] == "Running")
        await executor.report("u-1", container(ended(3)), stopped=True)
        await until(lambda: api.pod("p")["status"]["phase"] == "Failed")

        status = api.pod("p")["status"]
        assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
        assert status["qosClass"] == "BestEffort"
        assert len(api.status_writes("p")) == 2
        assert not api.deletions("p")


async def test_a_runtime_class_is_asked_once_for_its_handler(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.runtime_classes["wasmtime-wasi"] = "wasi"
    async with reconciler():
        await registrar.grant()
        for name in ("p", "q"):
            api.create(api_pod(name, f"u-{name}", NODE, runtimeClassName="wasmtime-wasi"))
        await until(lambda: len(executor.applied) == 2)
        handlers = {each.plan.runtime_handler for each in executor.applied if each.plan}
        assert handlers == {"wasi"}
        assert api.class_reads == 1


async def test_a_prompt_start_costs_one_write_though_it_says_creating_first(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler(creating_delay_s=30.0):
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE))
        await until(lambda: executor.applied)
        creating = container(Waiting(reason="ContainerCreating"))
        await executor.report("u-1", creating)
        # Another pod's way through shows that the first report has been taken in.
        api.create(api_pod("q", "u-2", NODE))
        await until(lambda: "u-2" in executor.plans)
        await executor.report("u-2", container(running()))
        await until(lambda: api.pod("q")["status"]["phase"] == "Running")
        assert not api.status_writes("p")

        await executor.report("u-1", container(running()))
        await until(lambda: api.pod("p")["status"]["phase"] == "Running")
        assert len(api.status_writes("p")) == 1


async def test_a_start_that_takes_long_is_shown_as_creating(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler(creating_delay_s=0.05):
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE))
        await until(lambda: executor.applied)
        await executor.report("u-1", container(Waiting(reason="ContainerCreating")))
        await until(lambda: api.status_writes("p"))
        state = api.pod("p")["status"]["containerStatuses"][0]["state"]
        assert state == {"waiting": {"reason": "ContainerCreating"}}


async def test_a_deleted_pod_is_removed_once_it_has_stopped_and_then_forgotten(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE, restartPolicy="Always"))
        await until(lambda: executor.applied)
        await executor.report("u-1", container(running()))
        await until(lambda: api.pod("p")["status"]["phase"] == "Running")

        api.delete("p", grace_s=5)
        await until(lambda: executor.deletion_of("u-1"))
        assert executor.deletion_of("u-1").grace_s == 5  # type: ignore[union-attr]  # seen above
        await executor.report("u-1", container(running()))
        assert not api.deletions("p")

        await executor.report("u-1", container(ended(143)), stopped=True)
        await until(lambda: ("default", "p") not in api.pods)
        last, removal = api.writes[-2:]
        assert last.status["phase"] == "Failed"
        assert removal.body["preconditions"] == {"uid": "u-1"}
        assert len(api.status_writes("p")) == 2

        forgotten = (await until(lambda: executor.forgotten))[0]
        assert forgotten.uid == "u-1"
