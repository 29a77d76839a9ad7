"""What the benchmarks are asked for on their command line."""

import argparse
from pathlib import Path

OUT = Path(".dev/bench.json")
GUESTS = Path(".dev/guests")


def parsed(description: str | None) -> argparse.Namespace:
    """Return what was chosen."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=description)
    _add_amounts(parser)
    _add_parts(parser)
    parser.add_argument("--out", type=Path, default=OUT, help="where the figures go as JSON")
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="CHECKOUT",
        help="start pods in turns on this checkout's Node and on that one's, which has its .venv",
    )
    parser.add_argument("--rounds", type=int, default=2, help="bursts of each, with --beside")
    parser.add_argument(
        "--compare",
        type=Path,
        nargs=2,
        metavar=("BEFORE", "AFTER"),
        help="print the figures of two such files beside each other; measure nothing",
    )
    return parser.parse_args()


def _add_amounts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--singles", type=int, default=100, help="pods started one by one")
    parser.add_argument("--burst", type=int, default=500, help="pods started at once")
    parser.add_argument("--probed", type=int, default=200, help="pods with HTTP probes")
    parser.add_argument("--asked", type=int, default=60, help="pods with exec probes")
    parser.add_argument(
        "--rich",
        type=int,
        default=100,
        help="pods with volumes and variables; 0 with --beside: bare ones alone",
    )
    parser.add_argument("--updated", type=int, default=200, help="pods that share a ConfigMap")
    parser.add_argument("--readers", type=int, default=50, help="who read one log side by side")
    parser.add_argument("--execs", type=int, default=50, help="commands, one by one")
    parser.add_argument(
        "--guests",
        type=Path,
        default=GUESTS,
        help="a folder whose hello*.wasm are started cold and warm, by `make examples`",
    )
    parser.add_argument(
        "--handler",
        type=Path,
        help="a component like examples/http-rust, which `wasmtime serve` runs too",
    )
    parser.add_argument("--http", type=int, default=10, help="pods that handle HTTP requests")


def _add_parts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-bare", action="store_true", help="leave the bare client out")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--sources-only", action="store_true", help="rich pods and the update alone")
    parts.add_argument("--kubelet-only", action="store_true", help="the kubelet port alone")
    parts.add_argument("--languages-only", action="store_true", help="guests by language alone")
    parts.add_argument("--http-only", action="store_true", help="HTTP handlers alone")
