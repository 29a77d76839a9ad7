"""Only the leader speaks: it starts with a term, ends with it, and another goes on from the API."""

from pathlib import Path

from reconciler_api import PodApi
from reconciler_objects import api_pod
from reconciler_peer import (
    NODE,
    Executor,
    Registrar,
    StartReconciler,
    container,
    running,
    until,
)

from contract.ids import NodeName

QUICK = {
    "election": "on",
    "election_lease_s": 1.5,
    "election_renew_deadline_s": 1.0,
    "election_retry_s": 0.2,
}


async def test_plans_carry_the_leases_term_and_a_clean_stop_gives_it_back(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler(**QUICK):
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE))
        first = (await until(lambda: executor.applied))[0]
        assert first.term.uid == "lease-1"
        await executor.report("u-1", container(running()))
        await until(lambda: api.pod("p")["status"]["phase"] == "Running")
    assert api.lease is not None
    assert not api.lease["spec"]["holderIdentity"]

    async with reconciler(**QUICK):
        api.create(api_pod("q", "u-2", NODE))
        await until(lambda: "u-2" in executor.plans)
        assert executor.applied[-1].term > first.term
        assert len(api.status_writes("p")) == 1


async def test_a_leader_of_many_nodes_goes_on_renewing_its_lease(
    api: PodApi, registrar: Registrar, reconciler: StartReconciler
) -> None:
    many = 130  # more watches than an API client has connections for requests
    timing = {"election_lease_s": 15, "election_renew_deadline_s": 10, "command_backoff_max_s": 5}
    async with reconciler(**QUICK | timing):
        for number in range(many):
            await registrar.grant(NodeName(f"wasm-{number}"))
        await until(lambda: api.open_watches == many, 30)
        since = len(api.renewals)
        await until(lambda: len(api.renewals) > since + 2, 30)
        assert api.open_watches == many


async def test_a_second_replica_waits_and_takes_over_when_the_first_is_gone(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler(**QUICK, election_identity="second"):
        async with reconciler(**QUICK, election_identity="first"):
            await registrar.grant()
            api.create(api_pod("p", "u-1", NODE))
            await until(lambda: executor.applied)
            assert len({each.term for each in executor.applied}) == 1
            assert len(executor.asked) == 1
        api.create(api_pod("q", "u-2", NODE))
        await until(lambda: "u-2" in executor.plans)


async def test_a_leader_that_cannot_renew_falls_silent_and_leads_again_later(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler(**QUICK):
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE, restartPolicy="Always"))
        first = (await until(lambda: executor.applied))[0]
        await executor.report("u-1", container(running()))
        await until(lambda: api.pod("p")["status"]["phase"] == "Running")

        api.lease_available = False
        await until(lambda: api.open_watches == 0)
        await executor.report("u-1", container(running(), restart_count=1))
        asked, writes = len(executor.asked), len(api.writes)
        api.create(api_pod("q", "u-2", NODE))
        assert len(api.writes) == writes

        api.lease_available = True
        await until(lambda: len(executor.asked) > asked)
        await until(lambda: "u-2" in executor.plans)
        assert executor.applied[-1].term > first.term
        await until(lambda: api.pod("p")["status"]["containerStatuses"][0]["restartCount"] == 1)
        assert not executor.forgotten


async def test_a_leader_that_leads_again_goes_on_with_the_pods_of_its_folder(
    tmp_path: Path,
    api: PodApi,
    registrar: Registrar,
    executor: Executor,
    reconciler: StartReconciler,
) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "web.yaml").write_text(
        "{apiVersion: v1, kind: Pod, metadata: {name: web},"
        " spec: {containers: [{name: main, image: 'registry.example/guest:1'}]}}"
    )
    async with reconciler(**QUICK, manifests=folder, manifests_interval_s=0.05):
        await registrar.grant()
        uid = (await until(lambda: executor.applied))[0].uid
        await executor.report(uid, container(running()))
        name = f"web-{NODE}"
        await until(lambda: api.status_writes(name))

        api.lease_available = False
        await until(lambda: api.open_watches == 0)
        asked = len(executor.asked)
        api.lease_available = True
        await until(lambda: len(executor.asked) > asked)
        await executor.report(uid, container(running(), restart_count=1))

        def restarts() -> int:
            (status,) = api.pod(name)["status"]["containerStatuses"]
            return int(status["restartCount"])

        await until(lambda: restarts() == 1)
        assert len(executor.applied) == 1
        assert not executor.forgotten
        assert not api.deletions(name)
