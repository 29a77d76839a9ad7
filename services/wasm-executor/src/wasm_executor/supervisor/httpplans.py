"""How a container's HTTP handlers are run: its pod's rules, and its share of processors."""

import math
from typing import Final

import msgspec

from contract.messages.pod import ContainerPlan, HttpRules, PodPlan
from wasm_executor.container.plan import HttpPlan

MOST_WORKERS: Final = 32
CONCURRENCY: Final = 64
"""Where the pod says nothing."""
_DEFAULT: Final = HttpPlan()


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
        access_log=rules.access_log,
        allowed_hosts=rules.allowed_hosts,
    )


def with_node_hosts(plan: HttpPlan | None, hosts: tuple[str, ...]) -> HttpPlan | None:
    """Add what this node lets handlers ask."""
    return None if plan is None else msgspec.structs.replace(plan, node_hosts=hosts)
