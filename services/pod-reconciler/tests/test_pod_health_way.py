"""What a pod's health costs and shows: readiness, gates, Events of each kind of container."""

from typing import Any

import pytest
from reconciler_api import PodApi
from reconciler_objects import Json, api_pod
from reconciler_peer import NODE, Executor, Registrar, StartReconciler, container, running, until

from contract.ids import ContainerName
from contract.messages.report import Occurrence, PodHappened

GATE = "example.com/gate"


def ready_of(api: PodApi) -> Json:
    conditions = api.pod("p")["status"].get("conditions") or ()
    return next((each for each in conditions if each["type"] == "Ready"), {})


def with_gate(pod: Json, status: str) -> None:
    others = [each for each in pod["status"]["conditions"] if each["type"] != GATE]
    gate = {"type": GATE, "status": status, "lastTransitionTime": "2026-01-31T12:00:00Z"}
    pod["status"]["conditions"] = [gate, *others]


async def test_a_change_of_readiness_is_one_write_each(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE))
        await until(lambda: executor.applied)
        for number, is_ready in enumerate((True, False, True), start=1):
            await executor.report("u-1", container(running(), ready=is_ready))
            await until(lambda: ready_of(api).get("status") == str(is_ready))  # noqa: B023 - awaited at once
            assert len(api.status_writes("p")) == number
        assert api.pod("p")["status"]["containerStatuses"][0]["ready"]


async def test_a_readiness_gate_of_somebody_else_turns_ready_with_one_write_each(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE, readinessGates=[{"conditionType": GATE}]))
        await until(lambda: executor.applied)
        await executor.report("u-1", container(running()))
        await until(lambda: ready_of(api).get("reason") == "ReadinessGatesNotReady")

        api.update("p", lambda pod: with_gate(pod, "True"))
        await until(lambda: ready_of(api)["status"] == "True")
        api.update("p", lambda pod: with_gate(pod, "False"))
        await until(lambda: ready_of(api)["status"] == "False")
        assert ready_of(api)["message"] == (
            f'the status of pod readiness gate "{GATE}" is not "True", but False'
        )

        # Another pod's way through shows that nothing is written on and on.
        api.create(api_pod("q", "u-2", NODE))
        await until(lambda: "u-2" in executor.plans)
        await executor.report("u-2", container(running()))
        await until(lambda: api.pod("q")["status"]["phase"] == "Running")
        assert len(api.status_writes("p")) == 3


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("prepare", "spec.initContainers{prepare}"),
        ("main", "spec.containers{main}"),
        ("debug", "spec.ephemeralContainers{debug}"),
        (None, None),
    ],
)
async def test_an_event_names_the_container_that_it_is_about(
    api: PodApi,
    registrar: Registrar,
    executor: Executor,
    reconciler: StartReconciler,
    name: str | None,
    path: str | None,
) -> None:
    more: Any = {
        "initContainers": [{"name": "prepare", "image": "i"}],
        "ephemeralContainers": [{"name": "debug", "image": "i"}],
    }
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE, **more))
        await until(lambda: executor.applied)
        report = await executor.report("u-1", container(running()))
        await executor.happen(
            PodHappened(
                uid=report.uid,
                namespace="default",
                name="p",
                incarnation=executor.life,
                occurrences=(
                    Occurrence(
                        reason="Killing",
                        message="Stopping",
                        at=report.started_at,
                        container=None if name is None else ContainerName(name),
                    ),
                ),
            )
        )
        event = (await until(lambda: api.events))[0]
        assert event["involvedObject"].get("fieldPath") == path


async def test_a_plan_that_is_sent_again_brings_what_the_api_held(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    init = [{"name": "prepare", "image": "i"}]
    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE, initContainers=init, activeDeadlineSeconds=60))
        first = (await until(lambda: executor.applied))[0]
        assert (first.started_at, first.last_status) == (None, ())
        report = await executor.report("u-1", container(running(), "prepare"))
        await until(lambda: api.status_writes("p"))

        api.update("p", lambda pod: pod["metadata"].update(generation=2))
        again = (await until(lambda: executor.applied[1:]))[0]
        assert again.started_at == report.started_at
        assert [(each.name, each.started) for each in again.last_status] == [
            ("prepare", True),
            ("main", False),
        ]
        assert again.plan is not None
        assert again.plan.active_deadline_s == 60


async def test_an_ephemeral_container_that_cannot_be_had_is_told_once(
    api: PodApi, registrar: Registrar, executor: Executor, reconciler: StartReconciler
) -> None:
    def add_debug(pod: Json) -> None:
        debug = {"name": "debug", "image": "i", "volumeDevices": [{"name": "d"}]}
        pod["spec"]["ephemeralContainers"] = [debug]
        pod["metadata"]["generation"] += 1

    async with reconciler():
        await registrar.grant()
        api.create(api_pod("p", "u-1", NODE))
        await until(lambda: executor.applied)
        await executor.report("u-1", container(running()))
        await until(lambda: api.status_writes("p"))
        api.update("p", add_debug)
        event = (await until(lambda: api.events))[0]
        assert (event["type"], event["reason"]) == ("Warning", "Failed")
        assert event["message"].startswith("Error: spec.ephemeralContainers[0].volumeDevices[0]: ")
        assert event["involvedObject"]["fieldPath"] == "spec.ephemeralContainers{debug}"
        await until(lambda: "ephemeralContainerStatuses" in api.pod("p")["status"])
    async with reconciler():  # another one, which knows the status alone
        for number, name in enumerate(("q", "r"), start=1):
            api.create(api_pod(name, f"u-{name}", NODE, teleport=True))
            await until(lambda: len(api.events) > number)  # noqa: B023 - awaited at once
            assert api.events[number]["involvedObject"]["name"] == name
