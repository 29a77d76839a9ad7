"""How a container's HTTP handlers are run: its pod's rules, and its share of processors."""

import math
from functools import cache
from importlib.metadata import entry_points
from typing import Final

import msgspec

from contract.messages.pod import ContainerPlan, HttpRules, PodPlan
from wasm_executor.container.plan import HTTP_WORLD, HttpPlan, Route
from wasm_executor.runtimes.interface import SERVING_GROUP
from wasm_executor.supervisor.memory import Forks

MOST_WORKERS: Final = 32
CONCURRENCY: Final = 64
"""Where the pod says nothing."""
_DEFAULT: Final = HttpPlan()
_WORKERS_ALONE: Final = frozenset({"", "wasi", "wasi-http"})
"""Handlers that fork for no request, as CGI does and others may."""


@cache
def serving_runtimes() -> frozenset[str]:
    """Return the runtimes that serve their containers' ports whatever the artifact exports."""
    return frozenset(point.name for point in entry_points(group=SERVING_GROUP))


def is_served(runtime: str, world: str) -> bool:
    """Whether a container's ports are bound for it, and handed over."""
    return world == HTTP_WORLD or runtime in serving_runtimes()


def forks_of(plan: PodPlan, container: ContainerPlan) -> Forks:
    """What is served on ports has workers; without one nothing forks."""
    if not container.ports:
        return Forks.NOTHING
    return Forks.WORKERS if plan.runtime_handler in _WORKERS_ALONE else Forks.REQUESTS


def http_plan(plan: PodPlan, container: ContainerPlan) -> HttpPlan:
    """Return the plan of its workers: as many as its CPU limit rounds up to; one without a limit.

    Requests under way are counted by each worker for itself, so each has its part of them.
    """
    rules = plan.http or HttpRules()
    cpus = math.ceil((container.cpu_limit_millis or 0) / 1000)
    workers = min(max(1, cpus), MOST_WORKERS)
    return HttpPlan(
        workers=workers,
        reuse=rules.reuse or _DEFAULT.reuse,
        concurrency=math.ceil((rules.concurrency or CONCURRENCY) / workers),
        timeout_s=rules.timeout_s or _DEFAULT.timeout_s,
        max_body_bytes=rules.max_body_bytes,
        access_log=rules.access_log,
        allowed_hosts=(*rules.allowed_hosts, *container.allowed_hosts),
        routes=tuple(
            Route(route=each.route, entrypoint=each.entrypoint, argv=each.argv)
            for each in container.routes
        ),
    )


def with_node_hosts(plan: HttpPlan | None, hosts: tuple[str, ...]) -> HttpPlan | None:
    """Add what this node lets handlers ask."""
    return None if plan is None else msgspec.structs.replace(plan, node_hosts=hosts)
