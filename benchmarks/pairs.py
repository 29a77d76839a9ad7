"""Two checkouts side by side: a Node of each joins one control plane, and pods start in turns.

Both meet the same machine, the same API server and the same load, so their difference holds where
one figure alone would not. Processor time per pod is counted besides, which a busy machine
lengthens less than the clock.
"""

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from benchmarks.cluster import PodWatch, create_all, delete_all
from benchmarks.measures import (
    BURST_TIMEOUT_S,
    START_TIMEOUT_S,
    WARM_UP,
    Subject,
    delete_burst,
    quantile,
    start_burst,
)
from benchmarks.memory import processor_s
from benchmarks.nodes import ROOM, Joining, wasmlet_up
from benchmarks.sources import put_sources, started_body
from kubekit.client import Api

HERE: Final = "here"
THERE: Final = "there"
RICH: Final = "rich"
KINDS: Final = ("plain", RICH)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    pods: int
    """Of each kind and checkout, one after the other."""
    kinds: tuple[str, ...] = KINDS
    """A checkout of before volumes can start the plain ones alone."""
    burst: int
    rounds: int
    """Bursts of each checkout, in turns."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One checkout: its Node, and the process of its `wasmlet up`."""

    subject: Subject
    root: int


async def measure(
    api: Api, watch: PodWatch, sides: Mapping[str, Side], plan: Plan
) -> dict[str, Any]:
    """Return the figures of each side and, of starts, the median of what one takes longer."""
    figures: dict[str, Any] = {"starts": await _starts(api, watch, sides, plan)}
    if plan.burst and plan.rounds:
        figures["bursts"] = await _bursts(api, watch, sides, plan)
    return figures


async def _starts(api: Api, watch: PodWatch, sides: Mapping[str, Side], plan: Plan) -> Any:
    await put_sources(api)
    pods, kinds = plan.pods, plan.kinds
    spans: dict[tuple[str, str], list[float]] = {(kind, who): [] for kind in kinds for who in sides}
    used = {key: dict[str, float]() for key in spans}
    for number in range(pods + WARM_UP):
        for (kind, who), known in _in_turns(spans.items(), number):
            side = sides[who]
            before = processor_s(side.root)
            known.append(await _start(api, watch, side.subject, kind, number))
            if number >= WARM_UP:
                _add(used[kind, who], before, processor_s(side.root))
    await _delete(
        api,
        watch,
        [
            f"{side.subject.label}-{kind}-{number}"
            for side in sides.values()
            for kind in kinds
            for number in range(pods + WARM_UP)
        ],
    )
    return {
        kind: _compared({who: spans[kind, who][WARM_UP:] for who in sides})
        | {"processor_ms": {who: _per_pod(used[kind, who], pods) for who in sides}}
        for kind in kinds
    }


async def _start(api: Api, watch: PodWatch, subject: Subject, kind: str, number: int) -> float:
    name = f"{subject.label}-{kind}-{number}"
    body = started_body(kind, name, subject)
    started = time.perf_counter()
    await create_all(api, [body])
    return (await watch.reached([name], "Running", START_TIMEOUT_S) - started) * 1000


async def _delete(api: Api, watch: PodWatch, names: list[str]) -> None:
    await delete_all(api, names)
    await watch.reached(names, "Deleted", BURST_TIMEOUT_S)


async def _bursts(api: Api, watch: PodWatch, sides: Mapping[str, Side], plan: Plan) -> Any:
    rates: dict[str, list[float]] = {who: [] for who in sides}
    used = {who: dict[str, float]() for who in sides}
    for number in range(plan.rounds):
        for who, side in _in_turns(sides.items(), number):
            subject = msgspec.structs.replace(side.subject, label=f"{side.subject.label}-{number}")
            before = processor_s(side.root)
            burst = await start_burst(api, watch, subject, plan.burst)
            _add(used[who], before, processor_s(side.root))
            rates[who].append(burst.pods_per_s)
            await delete_burst(api, watch, subject, plan.burst)
    return {
        "pods": plan.burst,
        "pods_per_s": rates,
        "processor_ms": {
            who: _per_pod(each, plan.burst * plan.rounds) for who, each in used.items()
        },
    }


def _in_turns[T](each: Iterable[T], number: int) -> list[T]:
    """Every other time from the last to the first: who goes second meets what the first left."""
    forwards = list(each)
    return forwards[::-1] if number % 2 else forwards


def _compared(spans: Mapping[str, list[float]]) -> dict[str, Any]:
    each: dict[str, Any] = {
        who: {"p50_ms": quantile(sorted(known), 0.5), "p99_ms": quantile(sorted(known), 0.99)}
        for who, known in spans.items()
    }
    longer = [here - there for here, there in zip(spans[HERE], spans[THERE], strict=True)]
    return each | {"here_longer_ms": round(median(longer), 2)}


def _add(used: dict[str, float], before: Mapping[str, float], after: Mapping[str, float]) -> None:
    for name, seconds in after.items():
        used[name] = used.get(name, 0.0) + seconds - before.get(name, 0.0)


def _per_pod(used: Mapping[str, float], pods: int) -> dict[str, float]:
    each = {name: round(seconds * 1000 / pods, 2) for name, seconds in sorted(used.items())}
    return each | {"all": round(sum(used.values()) * 1000 / pods, 2)}


def joinings(first: Joining, checkout: Path, plan: Plan) -> dict[str, Joining]:
    """Return the Node of this checkout, and that of the other one, each in a folder of its own.

    For bare pods they need room alone; a checkout of before volumes knows no other setting.
    """
    settings = first.settings if RICH in plan.kinds else ROOM
    places = {HERE: None, THERE: checkout.resolve()}
    return {
        who: msgspec.structs.replace(
            first, name=who, folder=first.folder / who, checkout=place, settings=settings
        )
        for who, place in places.items()
    }


def both_up(stack: ExitStack, joined: Mapping[str, Joining], image: str) -> dict[str, Side]:
    """Start both; they end with the stack."""
    return {
        who: Side(
            subject=msgspec.structs.replace(each.subject, image=image),
            root=stack.enter_context(wasmlet_up(each)),
        )
        for who, each in joined.items()
    }
