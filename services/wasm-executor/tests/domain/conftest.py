"""A pod and a clock in the hand."""

import pytest
from podclock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()
