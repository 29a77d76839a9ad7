"""`python -m controlplane build`, `... cluster` and `... registry`."""

import argparse
import sys
from pathlib import Path

from controlplane.building import build_control_plane, build_registry
from controlplane.cluster import run_cluster
from controlplane.errors import ControlPlaneError
from controlplane.local_registry import DEFAULT_PORT, run_registry
from controlplane.terminal import answer, say

HIGHEST_PORT = 65_535


def main() -> int:
    options = _parser().parse_args()
    try:
        options.run(options)
    except ControlPlaneError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:  # while something is built
        return 130
    return 0


def _build(_: argparse.Namespace) -> None:
    build_registry()
    answer(str(build_control_plane().folder))


def _cluster(options: argparse.Namespace) -> None:
    run_cluster(options.kubeconfig, options.data_dir)


def _registry(options: argparse.Namespace) -> None:
    run_registry(options.port, options.data_dir)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="controlplane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build the programs; the last line is their folder")
    build.set_defaults(run=_build)
    cluster = commands.add_parser("cluster", help="run a control plane until Ctrl-C")
    cluster.set_defaults(run=_cluster)
    cluster.add_argument("--kubeconfig", type=Path, metavar="FILE", default=Path(".dev/kubeconfig"))
    registry = commands.add_parser("registry", help="run a registry (plain HTTP) until Ctrl-C")
    registry.set_defaults(run=_registry)
    registry.add_argument("--port", type=_port, default=DEFAULT_PORT, help="0: any free one")
    for each in (cluster, registry):
        each.add_argument(
            "--data-dir",
            type=Path,
            help="where logs and state lie and stay (default: a temporary one)",
        )
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"{number} is no port")
    return number


if __name__ == "__main__":
    sys.exit(main())
