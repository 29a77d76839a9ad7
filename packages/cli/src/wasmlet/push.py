"""Put a WebAssembly file into a registry as an OCI artifact.

The last line on stdout is the reference by digest: what a manifest should name.
"""

import argparse
import sys
from pathlib import Path

from wasmlet.artifact import Format, Kind, parse_target, read_artifact


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE.wasm", type=Path, help="a module or a component")
    parser.add_argument("reference", metavar="REF", help="HOST[:PORT]/NAME[:TAG]")
    parser.add_argument(
        "--format",
        choices=[each.value for each in Format],
        default=Format.CNCF.value,
        help="the media types: those of the CNCF's Wasm OCI artifact, or of Krustlet",
    )
    add_registry_arguments(parser)


def add_registry_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how a registry is reached."""
    parser.add_argument("--insecure", action="store_true", help="speak plain HTTP to the registry")
    parser.add_argument(
        "--ca-file", metavar="F", type=Path, help="trust these certificates, too (PEM)"
    )


def run(args: argparse.Namespace) -> int:
    """Push, and return 0; everything that can go wrong is a `CommandLineError`."""
    target = parse_target(args.reference)
    artifact = read_artifact(args.file, Format(args.format))
    what = "module" if artifact.kind is Kind.MODULE else "component"
    sys.stderr.write(f"{args.file} is a WebAssembly {what}\n")
    from wasmlet.uploading import PushRegistry  # half a second that `wasmlet up` need not wait

    ca_file = str(args.ca_file) if args.ca_file else None
    registry = PushRegistry(target, insecure=args.insecure, ca_file=ca_file)
    digest = registry.push(artifact, sys.stderr)
    sys.stdout.write(f"{target.name}@{digest}\n")
    return 0
