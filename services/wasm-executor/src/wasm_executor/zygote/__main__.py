"""`python -m wasm_executor.zygote`: started by the keeper, never by hand."""

import socket
import sys

from wasm_executor.zygote.forking import serve
from wasm_executor.zygote.wire import REHEARSED

NODE = "node"
"""The privilege profile, as the keeper's setting has it; its module would stay in memory here."""

if __name__ == "__main__":
    profile, rehearsal, keeper_fd, keeper_pid = sys.argv[1:]
    serve(
        socket.socket(fileno=int(keeper_fd)),
        int(keeper_pid),
        own_roots=profile == NODE,
        rehearsed=rehearsal == REHEARSED,
    )
