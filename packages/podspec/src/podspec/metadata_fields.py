"""Rows for a Pod's metadata: nearly all of it is the API server's own business.

Our own annotations are not. A misspelt value is refused here where a pattern can tell, so that
`wasmlet check` says it too; the reconciler reads each once more, to the number.
"""

from typing import Final

from podspec import hostrules
from podspec.rows import Row, annotation, honoured, ignored

_API: Final = "kept by the API server"

METADATA_FIELDS: Final[tuple[Row, ...]] = (
    honoured("metadata.name"),
    honoured("metadata.namespace"),
    honoured("metadata.uid"),
    honoured("metadata.labels"),
    ignored("metadata.annotations['kubernetes.io/ingress-bandwidth']", "traffic is not shaped"),
    ignored("metadata.annotations['kubernetes.io/egress-bandwidth']", "traffic is not shaped"),
    annotation("allowed-hosts", hostrules.LIST, hostrules.WANTED),
    annotation("drain", "none|stdin-eof|file", "one of none, stdin-eof, file"),
    annotation("http-access-log", "true|false", "true or false"),
    annotation("http-concurrency", "0*([1-9][0-9]{0,2}|1000)", "a number from 1 to 1000"),
    annotation(
        "http-max-body", r"\+?[0-9.]+([numkMGTPE]i?|[eE][-+]?[0-9]+)?", "an amount of bytes"
    ),
    annotation("http-reuse", "0*([1-9][0-9]{0,5}|1000000)", "a number from 1 to 1000000"),
    annotation(
        "http-timeout-seconds", r"[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", "a number of seconds"
    ),
    annotation("toolbox", r"\S*", "an image"),
    honoured("metadata.annotations['wasmlet.dev/wagi-modules']"),
    ignored("metadata.annotations['wasmlet.dev/*']", "there is no such annotation"),
    honoured("metadata.annotations.*"),
    honoured("metadata.generation"),
    honoured("metadata.deletionTimestamp"),
    honoured("metadata.deletionGracePeriodSeconds"),
    honoured("metadata.creationTimestamp", _API),
    honoured("metadata.finalizers", _API),
    honoured("metadata.generateName", _API),
    honoured("metadata.managedFields", _API),
    honoured("metadata.ownerReferences", _API),
    honoured("metadata.resourceVersion", _API),
    honoured("metadata.selfLink", _API),
)
