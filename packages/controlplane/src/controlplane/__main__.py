"""`python -m controlplane build` and `python -m controlplane cluster`."""

import argparse
import sys
from pathlib import Path

from controlplane.building import build_control_plane, build_registry
from controlplane.cluster import run_cluster
from controlplane.errors import ControlPlaneError
from controlplane.terminal import answer, say


def main() -> int:
    options = _parser().parse_args()
    try:
        if options.command == "build":
            build_registry()
            answer(str(build_control_plane().folder))
        else:
            run_cluster(options.kubeconfig, options.data_dir)
    except ControlPlaneError as error:
        say(str(error))
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="controlplane", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build the programs; the last line is their folder")
    cluster = commands.add_parser("cluster", help="run a control plane until Ctrl-C")
    cluster.add_argument("--kubeconfig", type=Path, default=Path(".dev/kubeconfig"))
    cluster.add_argument(
        "--data-dir", type=Path, help="where logs and state lie and stay (default: a temporary one)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
