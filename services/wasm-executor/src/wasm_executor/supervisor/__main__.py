"""`python -m wasm_executor.supervisor`: started by the keeper, never by hand."""

import sys

from servicekit.running import run_service
from wasm_executor.settings import ExecutorSettings
from wasm_executor.supervisor.app import supervise
from wasm_executor.supervisor.identity import read_identity

if __name__ == "__main__":
    identity = read_identity(sys.argv[1:])
    run_service("wasm-executor", ExecutorSettings, lambda settings: supervise(settings, identity))
