"""Reads the clocks, so that nobody else has to."""

import time
from datetime import UTC, datetime

from wasm_executor.domain.moments import Moment


def now() -> Moment:
    return Moment(datetime.now(UTC), time.monotonic())
