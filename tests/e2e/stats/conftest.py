"""A busy guest and an idle one."""

import pytest
from e2e import guests
from e2e.images import Images
from e2e.pods import Pods


@pytest.fixture
def busy_and_idle(pods: Pods, images: Images) -> None:
    """Two running pods of one container `main` each, named so."""
    spin = guests.wat('(memory (export "memory") 1) (func (export "_start") (loop (br 0)))')
    for name, module in (("busy", spin), ("idle", guests.sleeps())):
        pods.run(name, images.push(module, name))
        pods.await_phase(name, "Running")
