"""What runs in the foreground ends at a signal, whichever, and its stopping is not stopped."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import signal, threading
from controlplane.foreground import interruptible
try:
    with interruptible():
        print("runs", flush=True)
        threading.Event().wait()
finally:
    print("stops", flush=True)
    input()
    print("has stopped")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_ends_it_and_the_next_does_not_stop_its_stopping(
    number: signal.Signals,
) -> None:
    command = [sys.executable, "-c", PROGRAM]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "runs\n"
        process.send_signal(number)
        assert process.stdout.readline() == "stops\n"
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(each)
        said, _ = process.communicate("\n", timeout=20)
        assert (process.returncode, said) == (0, "has stopped\n")
