"""A pod that runs, for tests of what may befall it."""

from reconciler_api import PodApi
from reconciler_objects import api_pod
from reconciler_peer import NODE, Executor, Registrar, container, running, until


async def started(api: PodApi, registrar: Registrar, executor: Executor) -> None:
    """A pod that runs."""
    await registrar.grant()
    api.create(api_pod("p", "u-1", NODE, restartPolicy="Always"))
    await until(lambda: executor.applied)
    await executor.report("u-1", container(running()))
    await until(lambda: api.pod("p")["status"]["phase"] == "Running")
