"""`python -m wasm_executor.zygote`: started by the keeper, never by hand."""

import socket
import sys

from wasm_executor.zygote.forking import serve

if __name__ == "__main__":
    keeper_fd, keeper_pid = (int(argument) for argument in sys.argv[1:])
    serve(socket.socket(fileno=keeper_fd), keeper_pid)
