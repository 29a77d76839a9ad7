"""Servers on loopback that answer as a test says, byte for byte."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop
from scripted_http import ScriptedServer, serve


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of these tests is the supervisor's: its errors and its TLS are its own."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with serve("127.0.0.1") as started:
        yield started
