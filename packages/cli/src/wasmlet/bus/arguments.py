"""Prepare the bus of an installation."""

import argparse

from wasmlet.installation import NAMESPACE

_ISSUER = """Make the key by which the registrar lets nodes onto the bus, once per installation.

The Secret goes to stdout, for `kubectl apply -f -`; what Helm is to be told goes to stderr. The key
is kept nowhere else: with a new one, give both again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be prepared."""
    acts = parser.add_subparsers(required=True, metavar="ACT")
    issuer = acts.add_parser("issuer", help="make the registrar's key", description=_ISSUER)
    issuer.add_argument("--namespace", default=NAMESPACE, help="of the installation")
    issuer.add_argument("--name", default="wasmlet-bus-issuer", help="of the Secret")
    issuer.set_defaults(usage=issuer)


def run(chosen: argparse.Namespace) -> int:
    """Print the Secret, and return 0."""
    from wasmlet.bus.issuing import issue

    return issue(chosen.namespace, chosen.name)
