"""Who this supervisor is: what its keeper told it on the command line."""

import argparse
from collections.abc import Sequence

import msgspec

from contract.messages.form import Incarnation


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch of one incarnation."""

    incarnation: Incarnation
    epoch: int
    keeper_fd: int


def read_identity(arguments: Sequence[str]) -> Identity:
    parser = argparse.ArgumentParser(prog="wasm_executor.supervisor")
    parser.add_argument("--keeper-fd", type=int, required=True)
    parser.add_argument("--executor-id", required=True)
    parser.add_argument("--start-count", type=int, required=True)
    parser.add_argument("--epoch", type=int, required=True)
    given = parser.parse_args(arguments)
    return Identity(
        incarnation=Incarnation(executor_id=given.executor_id, start_count=given.start_count),
        epoch=given.epoch,
        keeper_fd=given.keeper_fd,
    )
