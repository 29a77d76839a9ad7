"""`python -m compose_jobs files|objects|modules`: what goes before the services of compose.yaml.

Each job may run again at any time: what is there stays.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from compose_jobs.errors import JobError
from compose_jobs.files import Request, make_files
from compose_jobs.modules import push_modules
from compose_jobs.objects import apply_objects


def main() -> int:
    options = _parser().parse_args()
    try:
        options.run(options)
    except JobError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _files(options: argparse.Namespace) -> None:
    make_files(
        Request(
            made=options.made,
            out=options.out,
            owner=options.owner_of,
            executors=options.executors,
            api_port=options.api_port,
        )
    )


def _objects(options: argparse.Namespace) -> None:
    asyncio.run(apply_objects(options.kubeconfig, options.manifests))


def _modules(options: argparse.Namespace) -> None:
    push_modules(options.folder, options.registry)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="compose_jobs", description=__doc__)
    commands = parser.add_subparsers(required=True)
    files = commands.add_parser("files", help="make keys, passwords and kubeconfigs")
    files.set_defaults(run=_files)
    files.add_argument("--made", type=Path, required=True, help="with a folder per consumer")
    files.add_argument("--out", type=Path, required=True, help="where the user's kubeconfig goes")
    files.add_argument("--owner-of", type=Path, required=True, help="whose owner the user is")
    files.add_argument("--executors", type=int, required=True, help="how many there may be")
    files.add_argument("--api-port", type=int, required=True, help="of this machine's loopback")
    objects = commands.add_parser("objects", help="apply manifests to the cluster")
    objects.set_defaults(run=_objects)
    objects.add_argument("--kubeconfig", type=Path, required=True)
    objects.add_argument("manifests", type=Path, nargs="+")
    modules = commands.add_parser("modules", help="push a folder's modules")
    modules.set_defaults(run=_modules)
    modules.add_argument("--registry", required=True, help="HOST:PORT, plain HTTP")
    modules.add_argument("folder", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
