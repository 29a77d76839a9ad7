"""ConfigMaps, Secrets and Services on their way into plans: read by name, shared, kept fresh."""

from typing import Any

import pytest
from aiohttp import web
from reconciler_api import PodApi, failure
from reconciler_objects import api_pod
from reconciler_peer import NODE, Executor, Registrar, StartReconciler, until
from reconciler_store import config_map, secret, service

from contract.ids import PodUid
from contract.messages.pod import ContainerPlan


def pod_with(name: str, *env: Any, **container: Any) -> Any:
    pod = api_pod(name, f"u-{name}", NODE)
    pod["spec"]["containers"][0] |= {"env": list(env), **container}
    return pod


def color(kind: str = "configMap", name: str = "settings", **more: Any) -> Any:
    source = {f"{kind}KeyRef": {"name": name, "key": "color", **more}}
    return {"name": "COLOR", "valueFrom": source}


def plan_on(executor: Executor, name: str) -> ContainerPlan | None:
    """The newest plan of the pod's container."""
    apply = executor.plans.get(PodUid(f"u-{name}"))
    return None if apply is None or apply.plan is None else apply.plan.containers[0]


def value_on(executor: Executor, name: str, variable: str = "COLOR") -> str | None:
    plan = plan_on(executor, name)
    return None if plan is None else dict(plan.env).get(variable)


async def test_a_pod_gets_values_and_the_services_of_its_namespace(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.objects.put(config_map("settings", {"color": "blue"}))
    api.objects.put(secret("keys", {"token": b"t0p"}))
    api.objects.put_service(service("kubernetes", "10.0.0.1", {"port": 443}))
    api.objects.put_service(service("web", "10.0.0.2", {"port": 80}, namespace="elsewhere"))
    async with reconciler():
        await registrar.grant()
        api.create(pod_with("p", color(), envFrom=[{"secretRef": {"name": "keys"}}]))
        await until(lambda: executor.applied)
        plan = plan_on(executor, "p")
        assert plan is not None
        assert plan.config_error == ""
        found = dict(plan.env)
        assert (found["COLOR"], found["token"]) == ("blue", "t0p")
        assert found["KUBERNETES_SERVICE_HOST"] == "10.0.0.1"
        assert "WEB_SERVICE_HOST" not in found
        assert len(executor.applied) == 1


async def test_a_change_reaches_every_pod_that_uses_it_and_no_other(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.objects.put(config_map("settings", {"color": "blue"}))
    async with reconciler(objects_period_s=0.3):
        await registrar.grant()
        for name in ("p", "q"):
            api.create(pod_with(name, color()))
        api.create(pod_with("other"))
        await until(lambda: len(executor.plans) == 3)
        api.objects.put(config_map("settings", {"color": "green"}))
        await until(lambda: {value_on(executor, "p"), value_on(executor, "q")} == {"green"})
        assert sum(each.uid == "u-other" for each in executor.applied) == 1


async def test_a_new_pod_sees_what_is_there_now_though_another_was_read_for_a_moment_ago(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.objects.put(config_map("settings", {"color": "blue"}))
    async with reconciler():
        await registrar.grant()
        api.create(pod_with("p", color()))
        await until(lambda: executor.applied)
        api.objects.put(config_map("settings", {"color": "green"}))
        api.create(pod_with("q", color()))
        await until(lambda: value_on(executor, "q") == "green")
        # What was read for the one is news for the other.
        await until(lambda: value_on(executor, "p") == "green")


async def test_a_container_waits_for_what_is_missing_and_starts_when_it_appears(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler(objects_retry_s=0.2):
        await registrar.grant()
        api.create(pod_with("p", color()))
        await until(lambda: executor.applied)
        plan = plan_on(executor, "p")
        assert plan is not None
        assert plan.config_error == 'configmap "settings" not found'

        api.objects.put(config_map("settings", {"size": "7"}))
        lacks = "couldn't find key color in ConfigMap default/settings"
        await until(lambda: getattr(plan_on(executor, "p"), "config_error", "") == lacks)
        api.objects.put(config_map("settings", {"color": "blue"}))
        # The object is there by now, so it is looked at once a period.
        api.create(pod_with("q", color()))
        await until(lambda: value_on(executor, "p") == "blue")
        assert getattr(plan_on(executor, "p"), "config_error", "") == ""


async def test_who_may_not_read_a_secret_is_told_so(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    message = 'secrets "keys" is forbidden: User "x" cannot get resource "secrets"'

    def forbid(request: web.Request) -> web.Response | None:
        return failure(403, "Forbidden", message) if "/secrets/" in request.path else None

    api.gate = forbid
    async with reconciler():
        await registrar.grant()
        api.create(pod_with("p", color("secret", "keys", optional=True)))
        await until(lambda: executor.applied)
        assert getattr(plan_on(executor, "p"), "config_error", "") == message


async def test_what_was_read_stays_while_the_server_gives_no_answer(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.objects.put(config_map("settings", {"color": "blue"}))
    failed = []

    def fail(request: web.Request) -> web.Response | None:
        if "/configmaps/" not in request.path:
            return None
        failed.append(request.path)
        return failure(500, "InternalError", "ill")

    async with reconciler(objects_period_s=0.2, objects_retry_s=0.1):
        await registrar.grant()
        api.create(pod_with("p", color()))
        await until(lambda: executor.applied)
        api.gate = fail
        await until(lambda: len(failed) > 2)
        assert len(executor.applied) == 1
        api.objects.put(config_map("settings", {"color": "green"}))
        api.gate = lambda _: None
        await until(lambda: value_on(executor, "p") == "green")


async def test_many_pods_share_reads_and_what_nobody_uses_is_read_no_more(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.objects.put(config_map("settings", {"color": "blue"}))
    for number in range(20):
        api.create(pod_with(f"p{number}", color()))
    async with reconciler(objects_period_s=0.2):
        await registrar.grant()
        await until(lambda: len(executor.plans) == 20)
        # The pods of one list come at once: a read that begins after the last serves them all.
        assert api.objects.reads_of("settings") < 20
        for number in range(20):
            api.delete(f"p{number}", grace_s=0)
        await until(lambda: len(executor.forgotten) == 20)
        api.objects.put(config_map("beacon", {"color": "x"}))
        api.create(pod_with("q", color(name="beacon")))
        await until(lambda: api.objects.reads_of("beacon") > 1)
        reads = api.objects.reads_of("settings")
        before = api.objects.reads_of("beacon")
        await until(lambda: api.objects.reads_of("beacon") > before + 2)
        assert api.objects.reads_of("settings") == reads
        assert all("/default/" in path for path in api.objects.reads)


async def test_no_container_starts_before_services_were_read_once(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    def fail(request: web.Request) -> web.Response | None:
        ill = request.path.endswith("/services")
        return failure(500, "InternalError", "ill") if ill else None

    api.gate = fail
    api.objects.put_service(service("kubernetes", "10.0.0.1", {"port": 443}))
    async with reconciler():
        await registrar.grant()
        api.create(pod_with("p"))
        await until(lambda: executor.applied)
        error = getattr(plan_on(executor, "p"), "config_error", "")
        assert error.startswith("services have not yet been read at least once")
        api.gate = lambda _: None
        host = "KUBERNETES_SERVICE_HOST"
        await until(lambda: value_on(executor, "p", host) == "10.0.0.1")


async def test_a_new_service_reaches_pods_that_run_within_a_period(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler(objects_period_s=0.2):
        await registrar.grant()
        api.create(pod_with("p"))
        await until(lambda: executor.applied)
        api.objects.put_service(service("web", "10.0.0.9", {"port": 80}))
        await until(lambda: value_on(executor, "p", "WEB_SERVICE_HOST") == "10.0.0.9")


async def test_a_confined_reconciler_reads_nothing_beyond_its_namespaces(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.objects.put(config_map("settings", {"color": "blue"}))
    async with reconciler(namespaces=("shop",)):
        await registrar.grant()
        api.create(pod_with("p", color()))
        await until(lambda: executor.applied)
        assert sorted(api.objects.listed) == [
            "/api/v1/namespaces/default/services metadata.name=kubernetes",
            "/api/v1/namespaces/shop/services",
        ]
        assert api.objects.reads == []
        assert getattr(plan_on(executor, "p"), "config_error", "") == (
            'configmap "settings": namespace "default" is not among the namespaces '
            "whose objects this reconciler reads"
        )


@pytest.mark.parametrize("kind", ["configMap", "secret"])
async def test_a_pod_that_is_deleted_while_its_objects_are_read_goes_all_the_same(
    api: PodApi,
    registrar: Registrar,
    executor: Executor,
    reconciler: StartReconciler,
    kind: str,
) -> None:
    async with reconciler():
        await registrar.grant()
        api.create(pod_with("p", color(kind)))
        api.delete("p", grace_s=5)
        await until(lambda: executor.deletion_of("u-p") if executor.plans else None)


async def test_an_immutable_object_is_read_once_for_all_who_use_it(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.objects.put(config_map("settings", {"color": "blue"}, immutable=True))
    api.objects.put(config_map("beacon", {"color": "x"}))
    async with reconciler(objects_period_s=0.1):
        await registrar.grant()
        api.create(pod_with("p", color()))
        api.create(pod_with("beacon", color(name="beacon")))
        await until(lambda: value_on(executor, "p") == "blue")
        await until(lambda: api.objects.reads_of("beacon") > 3)
        api.create(pod_with("q", color()))
        await until(lambda: value_on(executor, "q") == "blue")
        assert api.objects.reads_of("settings") == 1


async def test_a_read_that_hangs_holds_up_nobody_else(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    api.objects.put(config_map("settings", {"color": "blue"}))
    api.objects.put(config_map("hangs", {"color": "x"}))
    async with reconciler(objects_period_s=0.2):
        await registrar.grant()
        api.create(pod_with("p", color()))
        api.create(pod_with("q", color(name="hangs")))
        await until(lambda: value_on(executor, "q") == "x")
        api.objects.stalled.add("hangs")
        reads = api.objects.reads_of("hangs")
        await until(lambda: api.objects.reads_of("hangs") > reads)
        api.objects.put(config_map("settings", {"color": "green"}))
        await until(lambda: value_on(executor, "p") == "green", timeout_s=2)


@pytest.mark.parametrize("code", [429, 500])
async def test_a_server_that_is_ill_for_one_object_is_told_in_a_kubelets_words(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler, code: int
) -> None:
    def fail(request: web.Request) -> web.Response | None:
        ill = request.path.endswith("/configmaps/ill")
        return failure(code, "TooManyRequests", "later") if ill else None

    api.gate = fail
    api.objects.put(config_map("ill", {"color": "blue"}))
    api.objects.put(config_map("settings", {"color": "blue"}))
    async with reconciler(objects_retry_s=0.1):
        await registrar.grant()
        api.create(pod_with("p", color(name="ill", optional=True)))
        api.create(pod_with("q", color()))
        await until(lambda: value_on(executor, "q") == "blue")
        error = "failed to sync configmap cache: timed out waiting for the condition"
        await until(lambda: getattr(plan_on(executor, "p"), "config_error", "") == error)
        api.gate = lambda _: None
        await until(lambda: value_on(executor, "p") == "blue")
