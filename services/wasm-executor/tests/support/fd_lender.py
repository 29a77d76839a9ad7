"""A supervisor that lends its keeper descriptor to the test, which then is the supervisor."""

import argparse
import os
import socket
import sys


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("--keeper-fd", "--start-count", "--epoch"):
        parser.add_argument(option, type=int, required=True)
    parser.add_argument("--executor-id", required=True)
    parser.add_argument("lend_to")
    given = parser.parse_args()
    if "KEEPER_RIG_EXIT_CODE" in os.environ:
        sys.exit(int(os.environ["KEEPER_RIG_EXIT_CODE"]))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as test:
        test.connect(given.lend_to)
        said = f"{os.getpid()} {given.executor_id} {given.start_count} {given.epoch}"
        socket.send_fds(test, [said.encode()], [given.keeper_fd])
        os.close(given.keeper_fd)
        test.recv(1)  # the test's end closes with the test
    sys.exit(0)


if __name__ == "__main__":
    main()
