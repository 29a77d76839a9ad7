"""A service as a process: its admin port, its clean end, its one line about a wrong setting."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

SERVICE = """
import asyncio
import os
from servicekit.admin import serve_admin
from servicekit.errors import ServiceError, SettingsError
from servicekit.running import raise_on_signal, run_service, stop_absorbed
from servicekit.settings import ServiceSettings

async def life(settings):
    if "SAMPLE_FAILURE" in os.environ:
        raise {"setting": SettingsError, "other": ServiceError}[os.environ["SAMPLE_FAILURE"]]("no")
    with stop_absorbed():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(raise_on_signal(), name="signals")
            tasks.create_task(serve_admin(settings, lambda: AWAY), name="admin")

AWAY = None if "SAMPLE_READY" in os.environ else "NATS is away"
run_service("sample", ServiceSettings, life)
"""


@contextmanager
def service(**environ: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'ulimit -Sn 256; exec "$0" -c "$1"', sys.executable, SERVICE],
        env=os.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    for line in process.stdout:
        record = json.loads(line)
        if record["event"] == "admin.listening":
            assert record["service"] == "sample"
            return int(record["port"])
    raise AssertionError("the admin port never listened")


def test_the_admin_port_answers_until_sigterm_ends_the_service_cleanly() -> None:
    with service() as process:
        url = f"http://127.0.0.1:{port_of(process)}"
        with httpx.Client() as client:
            assert client.get(f"{url}/healthz").text == "ok"
            ready = client.get(f"{url}/readyz")
            assert (ready.status_code, ready.text) == (503, "NATS is away")
            assert "python_info" in client.get(f"{url}/metrics").text
            assert client.get(f"{url}/secrets").status_code == 404
            assert resource.prlimit(process.pid, resource.RLIMIT_CORE) == (0, 0)
            soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
            assert soft == hard
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0


def test_an_unknown_setting_ends_the_service_with_2_and_one_line() -> None:
    with service(WASMLET_NATS_ULR="x") as process:
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out) == (2, "")
        assert err == "sample: unknown setting WASMLET_NATS_ULR\n"


def test_a_setting_that_proves_wrong_later_ends_the_service_with_2_too() -> None:
    for failure, code in (("setting", 2), ("other", 1)):
        with service(SAMPLE_FAILURE=failure) as process:
            out, err = process.communicate(timeout=30)
            assert (process.returncode, err) == (code, "")
            assert json.loads(out)["reason"] == "no"


def test_an_engine_learns_by_a_command_why_a_service_is_not_ready() -> None:
    ask = [sys.executable, "-m", "servicekit.askready"]
    with service() as process:
        answer = subprocess.run(
            [*ask, str(port_of(process))], capture_output=True, text=True, check=False
        )
        assert (answer.returncode, answer.stdout) == (1, "NATS is away\n")
    with service(SAMPLE_READY="yes") as process:
        answer = subprocess.run(
            [*ask, str(port_of(process))], capture_output=True, text=True, check=False
        )
        assert (answer.returncode, answer.stdout) == (0, "ok\n")
    silent = subprocess.run([*ask, "1"], capture_output=True, text=True, check=False)
    assert silent.returncode == 1
    assert silent.stdout.startswith("no answer: ")
