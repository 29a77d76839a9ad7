"""What a log line holds, and what it must not."""

import subprocess
import sys

import pytest

CRASH = """
import structlog
from contract.messages.pod import ContainerPlan
from servicekit.logs import configure_logging

configure_logging("sample", "info", "{form}")
plan = ContainerPlan(name="c", image="i", args=("hunter2",), env=(("PASSWORD", "hunter2"),))
try:
    raise ValueError(f"cannot run {{plan}}")
except ValueError:
    structlog.get_logger().exception("command.crashed", plan=plan)
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_neither_local_variables_nor_a_plan_s_secrets(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CRASH.format(form=form)], capture_output=True, text=True, check=True
    )
    assert "cannot run ContainerPlan" in done.stdout
    assert "Traceback" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
