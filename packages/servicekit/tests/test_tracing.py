"""Traces: off there is nothing, on they reach a real collector, across a real bus."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from trace_collector import Collector, ReceivedSpan

from servicekit.errors import SettingsError
from servicekit.settings import CollectorUrl, ServiceSettings, read_settings
from servicekit.tracing import NO_SPAN, Tracer, current, step, traced, with_trace

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID = PARENT.split("-")[1]


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("wasmlet_trace_spans_total", {"outcome": outcome}) or 0.0


def by_name(collector: Collector) -> dict[str, ReceivedSpan]:
    return {each.name: each for each in collector.spans}


def test_switched_off_nothing_is_imported_and_nothing_recorded() -> None:
    script = (
        "import sys, servicekit.bus, servicekit.logs\n"
        "from servicekit.tracing import NO_SPAN, current, step, traced\n"
        "with traced('s', '') as tracer:\n"
        "    with tracer.root('r', {}) as root, step('a') as a, a.here():\n"
        "        assert root is a is current() is NO_SPAN and current().headers is None\n"
        "    assert tracer.arrived({'traceparent': 'x'}) is NO_SPAN\n"
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_steps_reach_the_collector_within_one_another(collector: Collector) -> None:
    with traced("sample", collector.url + "/") as tracer:
        root = tracer.root("root", {"k8s.pod.name": "p"})
        with root.here():
            with step("first") as first, step("inner"):
                assert current() is not first
            with pytest.raises(ZeroDivisionError), step("second"):
                raise ZeroDivisionError("hunter2")
        assert current() is NO_SPAN
        root.end()
    spans = by_name(collector)
    assert set(spans) == {"root", "first", "inner", "second"}
    assert {each.trace_id for each in spans.values()} == {spans["root"].trace_id}
    assert {each.service for each in spans.values()} == {"sample"}
    assert spans["root"].parent_id == ""
    assert spans["first"].parent_id == spans["second"].parent_id == spans["root"].span_id
    assert spans["inner"].parent_id == spans["first"].span_id
    assert spans["root"].attributes["k8s.pod.name"] == "p"
    assert spans["second"].error == "ZeroDivisionError"
    assert not any(b"hunter2" in body for body in collector.bodies)


def test_what_is_over_has_no_more_steps_in_tasks_that_it_began(collector: Collector) -> None:
    async def later(over: asyncio.Event) -> None:
        with step("within"):
            await over.wait()
        with step("after") as after:
            assert after is NO_SPAN
            assert current().headers is None

    async def life(tracer: Tracer) -> None:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            with tracer.root("root", {}):
                task = tasks.create_task(later(over))
                await asyncio.sleep(0)
            over.set()
            await task

    with traced("sample", collector.url) as tracer:
        asyncio.run(life(tracer))
    assert set(by_name(collector)) == {"root", "within"}


def test_a_line_of_the_log_says_its_trace(collector: Collector) -> None:
    assert with_trace(None, "", {"event": "e"}) == {"event": "e"}
    with traced("sample", collector.url) as tracer, tracer.root("root", {}):
        line = with_trace(None, "", {"event": "e"})
    (root,) = collector.spans
    assert line == {"event": "e", "trace_id": root.trace_id, "span_id": root.span_id}


def test_of_starts_that_are_not_drawn_nothing_is_told_or_handed_on(collector: Collector) -> None:
    with traced("sample", collector.url, 0.0) as tracer:
        assert tracer.root("root", {}) is NO_SPAN
        tracer.arrived({"traceparent": PARENT}).begin("of another's draw").end()
    (span,) = collector.spans
    assert span.trace_id == TRACE_ID


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {},
        {"traceparent": ""},
        {"traceparent": "hello"},
        {"traceparent": PARENT[:-3]},
        {"traceparent": PARENT.replace("0af7", "zzzz")},
        {"traceparent": f"00-{'0' * 32}-b7ad6b7169203331-01"},
        {"traceparent": PARENT.removesuffix("01") + "00"},
        {"tracestate": "a=b"},
    ],
)
def test_a_trace_that_cannot_be_read_or_is_not_recorded_is_none(
    headers: dict[str, str] | None, collector: Collector
) -> None:
    with traced("sample", collector.url) as tracer:
        assert tracer.arrived(headers) is NO_SPAN


def test_a_state_of_any_length_does_not_fill_messages(collector: Collector) -> None:
    with traced("sample", collector.url) as tracer:
        short = tracer.arrived({"traceparent": PARENT, "tracestate": "a=b"})
        assert short.headers == {"traceparent": PARENT, "tracestate": "a=b"}
        long = tracer.arrived({"traceparent": PARENT, "tracestate": "a=" + "b" * 4000})
        assert long.headers == {"traceparent": PARENT}


def test_a_collector_that_is_away_costs_spans_and_is_told_of_once(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    from servicekit import traceexport

    monkeypatch.setattr(traceexport, "QUEUE_SPANS", 8)
    monkeypatch.setattr(traceexport, "BATCH_SPANS", 4)
    monkeypatch.setattr(traceexport, "SEND_TIMEOUT_S", 0.2)
    monkeypatch.setattr(traceexport, "FLUSH_TIMEOUT_S", 30.0)
    collector.answer = 503
    before = {each: counted(each) for each in ("sent", "failed", "dropped")}
    with capture_logs() as lines, traced("sample", collector.url) as tracer:
        for number in range(100):
            tracer.root(f"span {number}", {}).end()
    lost = {each: counted(each) - count for each, count in before.items()}
    assert lost["sent"] == 0
    assert lost["dropped"] > 0
    assert lost["failed"] >= 4
    assert lost["failed"] + lost["dropped"] == 100
    assert collector.requests >= 1
    assert [line["event"] for line in lines] == ["traces.on", "traces.lost"]


def test_a_collector_that_hangs_delays_the_end_by_seconds_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from servicekit import traceexport

    released, answered = threading.Event(), threading.Event()

    class Hanging(Collector):
        def take(self, path: str, body: bytes) -> int:
            del path, body
            released.wait(20)
            answered.set()
            return 200

    monkeypatch.setattr(traceexport, "FLUSH_TIMEOUT_S", 0.2)
    monkeypatch.setattr(traceexport, "SEND_TIMEOUT_S", 60)
    with Hanging() as collector:
        with traced("sample", collector.url) as tracer:
            tracer.root("root", {}).end()
        assert not answered.is_set()
        released.set()


class Sample(ServiceSettings, frozen=True, kw_only=True):
    traces_endpoint: CollectorUrl = ""


@pytest.mark.parametrize("url", ["", "http://collector:4318", "https://[::1]:4318/a/b/"])
def test_an_address_of_a_collector_is_taken(url: str) -> None:
    assert read_settings(Sample, {"WASMLET_TRACES_ENDPOINT": url}).traces_endpoint == url


@pytest.mark.parametrize("url", ["collector:4318", "ftp://c", "http://u:p@c", "http://c/?k=v"])
def test_what_is_no_address_or_holds_a_login_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="WASMLET_TRACES_ENDPOINT: "):
        read_settings(Sample, {"WASMLET_TRACES_ENDPOINT": url})
