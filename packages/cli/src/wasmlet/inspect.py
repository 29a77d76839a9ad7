"""Say what a file, or what a reference leads to, is, and what a node would make of it."""

import argparse
import re
import sys
from pathlib import Path
from typing import Final

from wasmlet.artifact import parse_target, read_file
from wasmlet.errors import UsageError
from wasmlet.push import add_registry_arguments
from wasmlet.verdict import Verdict, verdict_on

_WIDTH: Final = 10
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", metavar="FILE|REF", help="a file, or HOST[:PORT]/NAME[:TAG][@sha256:DIGEST]"
    )
    add_registry_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Tell it, and return 0 if a runtime takes it, else 1."""
    path = Path(args.what)
    if path.is_file():
        content, _ = read_file(path)
        return _tell(verdict_on(args.what, content))
    from wasmlet.looking import look  # half a second that no file need wait
    from wasmlet.uploading import PushRegistry

    name, _, digest = args.what.partition("@")
    if digest and not _DIGEST.fullmatch(digest):
        raise UsageError(f"{digest!r} is not a digest, want sha256:...")
    ca_file = str(args.ca_file) if args.ca_file else None
    try:
        target = parse_target(name)
    except UsageError as error:
        raise UsageError(f"there is no such file, and {error}") from error
    registry = PushRegistry(target, insecure=args.insecure, ca_file=ca_file, doing="inspect")
    found = look(registry, digest or None)
    for title, text in found.lines:
        _line(title, text)
    return 1 if found.module is None else _tell(verdict_on(found.name, found.module))


def _tell(verdict: Verdict) -> int:
    _line("kind", verdict.what)
    _line("runtime", verdict.runtime or "none")
    for title, names in (("imports", verdict.names.imports), ("exports", verdict.names.exports)):
        for each in names or ("none",):
            _line(title, each)
    for each in verdict.remarks:
        _line("remark", each)
    return 0 if verdict.runtime else 1


def _line(title: str, text: str) -> None:
    printable = "".join(each if each.isprintable() else "?" for each in text)
    sys.stdout.write(f"{title:<{_WIDTH}}{printable}\n")
