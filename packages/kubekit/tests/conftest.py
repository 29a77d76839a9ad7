"""Fixtures of all kubekit tests."""

from collections.abc import AsyncIterator

import pytest

from kubekit.testing import RecordedServer, recorded_server


@pytest.fixture
async def server() -> AsyncIterator[RecordedServer]:
    async with recorded_server() as recorded:
        yield recorded
