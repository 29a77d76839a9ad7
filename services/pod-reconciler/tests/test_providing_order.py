"""Who is provided for first when a term begins, with many pods that an earlier leader has left."""

import pytest
from reconciler_api import PodApi
from reconciler_objects import api_pod
from reconciler_peer import NODE, Executor, Registrar, StartReconciler, until
from reconciler_store import config_map

from pod_reconciler import supplies
from pod_reconciler.supplies import AT_A_TIME


async def test_who_waits_to_start_does_not_wait_for_all_that_run(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    names = [f"slow-{number}" for number in range(5 * AT_A_TIME)]
    api.objects.stalled = set(names)
    for name in (*names, "new"):
        pod = api_pod(name, f"u-{name}", NODE)
        pod["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": name}}]
        pod["status"] = {} if name == "new" else {"phase": "Running"}
        api.create(pod)
    api.objects.put(config_map("new", {"color": "blue"}))
    async with reconciler():
        await registrar.grant()
        await until(lambda: "u-new" in executor.plans)
        assert 0 < sum(api.objects.reads_of(name) for name in names) <= AT_A_TIME


async def test_who_waits_for_the_list_of_services_holds_up_no_reading(
    api: PodApi,
    registrar: Registrar,
    reconciler: StartReconciler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supplies, "_SYNC_PATIENCE_S", 3600.0)
    api.objects.stalled = {"services"}
    names = [f"runs-{number}" for number in range(3 * AT_A_TIME)]
    for name in names:
        pod = api_pod(name, f"u-{name}", NODE)
        pod["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": name}}]
        pod["status"] = {"phase": "Running"}
        api.create(pod)
        api.objects.put(config_map(name, {"color": "blue"}))
    async with reconciler():
        await registrar.grant()
        await until(lambda: all(api.objects.reads_of(name) for name in names))
