"""The loop of these tests is the service's: uvloop has a TLS of its own."""

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that `run_service` uses."""
    return {"uvloop": uvloop.new_event_loop}
