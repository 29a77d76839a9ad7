"""Say which fields of manifests are refused, ignored, or ask something of the node.

Pods are judged, and the pod templates of Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs,
CronJobs, ReplicationControllers and PodTemplates, also in Lists. Nothing is applied and no cluster
is asked. Exit code 1 if a pod would not run, 2 if something cannot be read.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is checked and how it is told."""
    parser.add_argument("files", metavar="FILE", nargs="+", help="YAML or JSON; - for stdin")
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="a line each, or JSON"
    )


def run(chosen: argparse.Namespace) -> int:
    """Check, and return the exit code."""
    from wasmlet.check.checking import check

    return check(chosen.files, chosen.output)
