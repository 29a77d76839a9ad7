"""Act on a node that `wasmlet up` runs on this machine."""

import argparse
import math
from pathlib import Path

import msgspec

from wasmlet.errors import UsageError

DEFAULT_GRACE_S = 30.0
_DRAIN = """End all pods of a node for good, as before its machine shuts down.

Each pod gets its own grace, at most --grace; it is then Failed, and what runs pods of its kind
starts them on other nodes. The node takes no pods until its executor is started again.
"""


class DrainOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, checked."""

    node: str | None = None
    data_dir: Path | None = None
    grace_s: float = DEFAULT_GRACE_S


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be done to a node."""
    acts = parser.add_subparsers(required=True, metavar="ACT")
    drain = acts.add_parser("drain", help="end its pods for good", description=_DRAIN)
    drain.add_argument("--node", metavar="NAME", help="which, where several run here")
    drain.add_argument(
        "--data-dir", metavar="DIR", type=Path, help="the one that `wasmlet up` was given"
    )
    drain.add_argument(
        "--grace",
        metavar="SECONDS",
        type=float,
        default=DEFAULT_GRACE_S,
        help=f"the most that a pod gets ({DEFAULT_GRACE_S:g})",
    )
    drain.set_defaults(usage=drain)


def run(chosen: argparse.Namespace) -> int:
    """Drain, and return 0; everything that can go wrong is a `CommandLineError`."""
    from wasmlet.node.draining import drain

    return drain(options_of(chosen))


def options_of(chosen: argparse.Namespace) -> DrainOptions:
    """Return the options, or raise `UsageError` with what is wrong."""
    if not math.isfinite(chosen.grace) or chosen.grace < 0:
        raise UsageError("--grace must be 0 or more seconds")
    return DrainOptions(node=chosen.node, data_dir=chosen.data_dir, grace_s=chosen.grace)
