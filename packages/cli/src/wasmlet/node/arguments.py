"""Act on a node of this machine, or let a machine become one."""

import argparse
import asyncio
import ipaddress
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from contract.errors import InvalidTokenError
from contract.ids import NodeName, node_token
from wasmlet.errors import UsageError
from wasmlet.installation import NAMESPACE

if TYPE_CHECKING:
    from wasmlet.node.enrolling import EnrolOptions
    from wasmlet.node.joining import JoinOptions

DEFAULT_GRACE_S = 30.0
_BUS = re.compile(r"(?:nats|tls)://[^\s/@\"'\\]+")
"""It goes into a file of variables, where quotes and the like mean something else."""
MOST_GRACE_S = 365 * 24 * 3600.0
MOST_HOURS = 365 * 24.0
"""The identity that a word leads to holds for a year, too."""
_DRAIN = """End all pods of a node for good, as before its machine shuts down.

Each pod gets its own grace, at most --grace; it is then Failed, and what runs pods of its kind
starts them on other nodes. The node takes no pods until its executor is started again.
"""

_ENROL = """Prepare that a machine outside the cluster joins it as a node, and print one word.

The word is a secret: it holds a bootstrap token for that one node, and what its services show on
the bus. It needs an administrator's kubeconfig, whose server the machine must reach.
"""
_JOIN = """Join the cluster that the word of `wasmlet node enrol` is for.

Asks the cluster for this node's identity, writes settings and systemd's units, and starts them.
Give `-` to read the word from stdin, where no other user of the machine sees it.
"""
_RENEW = """Renew this machine's identity in the cluster when 70 % of its life are over.

A timer of systemd's does this each day.
"""
LONGEST_NAME = 64 - len("system:node:")
"""A certificate's common name holds no more."""


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
    drain.set_defaults(usage=drain, act=_drain)
    _declare_enrol(acts)
    _declare_join(acts)


def _declare_enrol(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    enrol = acts.add_parser("enrol", help="let a machine join as a node", description=_ENROL)
    enrol.add_argument("node", metavar="NAME", help="of the node that it is to be")
    enrol.add_argument("--kubeconfig", metavar="FILE", type=Path, required=True)
    enrol.add_argument("--nats", metavar="URL", required=True, help="where the machine finds it")
    enrol.add_argument("--nats-ca-file", metavar="FILE", type=Path, help="where it speaks TLS")
    enrol.add_argument("--namespace", default=NAMESPACE, help="of the installation")
    enrol.add_argument(
        "--hours", type=float, default=1.0, help="until when it has to join (%(default)g)"
    )
    enrol.set_defaults(usage=enrol, act=_enrol)


def _declare_join(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    join = acts.add_parser("join", help="make this machine a node", description=_JOIN)
    join.add_argument("word", metavar="WORD", help="of `wasmlet node enrol`, or - for stdin")
    join.add_argument("--address", metavar="IP", default="", help="that the Node shows")
    join.add_argument("--kubelet-port", metavar="PORT", type=int, default=10250)
    join.add_argument(
        "--root",
        metavar="DIR",
        type=Path,
        default=Path("/"),
        help="instead of /, to which all files then point: no users, nothing is started",
    )
    join.add_argument("--no-start", action="store_true", help="make users and files alone")
    join.set_defaults(usage=join, act=_join)
    renew = acts.add_parser("renew", help="renew its identity in time", description=_RENEW)
    renew.add_argument("--root", metavar="DIR", type=Path, default=Path("/"), help="instead of /")
    renew.set_defaults(usage=renew, act=_renew)


def run(chosen: argparse.Namespace) -> int:
    """Act, and return 0; everything that can go wrong is a `CommandLineError`."""
    return int(chosen.act(chosen))


def _drain(chosen: argparse.Namespace) -> int:
    from wasmlet.node.draining import drain

    return drain(options_of(chosen))


def _enrol(chosen: argparse.Namespace) -> int:
    from wasmlet.node.enrolling import enrol

    return asyncio.run(enrol(enrol_options_of(chosen)))


def _join(chosen: argparse.Namespace) -> int:
    from wasmlet.node.asking import word_from
    from wasmlet.node.enrolment import read_word
    from wasmlet.node.joining import join

    word = word_from(sys.stdin) if chosen.word == "-" else chosen.word
    return asyncio.run(join(read_word(word), join_options_of(chosen)))


def _renew(chosen: argparse.Namespace) -> int:
    from wasmlet.node.joining import renew

    return asyncio.run(renew(_folder(chosen.root)))


def enrol_options_of(chosen: argparse.Namespace) -> "EnrolOptions":
    """Return the options of `enrol`, or raise `UsageError` with what is wrong."""
    from wasmlet.node.enrolling import EnrolOptions

    node = NodeName(chosen.node)
    try:
        node_token(node)
    except InvalidTokenError as error:
        raise UsageError(str(error)) from error
    if len(node) > LONGEST_NAME:
        raise UsageError(f"a certificate holds no node name of more than {LONGEST_NAME} letters")
    if not all(map(_BUS.fullmatch, chosen.nats.split(","))):
        raise UsageError(f"--nats: {chosen.nats!r} is no tls://HOST[:PORT] or nats://HOST[:PORT]")
    if not 0 < chosen.hours <= MOST_HOURS:
        raise UsageError(f"--hours must be more than 0, and at most {MOST_HOURS:g}")
    return EnrolOptions(
        node=node,
        kubeconfig=chosen.kubeconfig,
        nats_url=chosen.nats,
        nats_ca_file=chosen.nats_ca_file,
        namespace=chosen.namespace,
        hours=chosen.hours,
    )


def join_options_of(chosen: argparse.Namespace) -> "JoinOptions":
    """Return the options of `join`, or raise `UsageError` with what is wrong."""
    from wasmlet.node.joining import JoinOptions
    from wasmlet.node.machine_files import Machine

    if not 0 <= chosen.kubelet_port <= 65535:  # noqa: PLR2004 - the range of ports
        raise UsageError(f"--kubelet-port: {chosen.kubelet_port} is no port")
    try:
        _ = chosen.address and ipaddress.ip_address(chosen.address)
    except ValueError as error:
        raise UsageError(f"--address: {error}") from error
    machine = Machine(
        root=_folder(chosen.root), address=chosen.address, kubelet_port=chosen.kubelet_port
    )
    return JoinOptions(machine=machine, start=not chosen.no_start)


def _folder(root: Path) -> str:
    """Return it as what paths below it begin with."""
    return f"{root.absolute()}/".replace("//", "/")


def options_of(chosen: argparse.Namespace) -> DrainOptions:
    """Return the options, or raise `UsageError` with what is wrong."""
    if not 0 <= chosen.grace <= MOST_GRACE_S:
        raise UsageError(f"--grace must be from 0 to {MOST_GRACE_S:.0f} seconds")
    return DrainOptions(node=chosen.node, data_dir=chosen.data_dir, grace_s=chosen.grace)
