"""Rows for a Pod's metadata: nearly all of it is the API server's own business."""

from typing import Final

from podspec.rows import Row, honoured, ignored

_API: Final = "kept by the API server"

METADATA_FIELDS: Final[tuple[Row, ...]] = (
    honoured("metadata.name"),
    honoured("metadata.namespace"),
    honoured("metadata.uid"),
    honoured("metadata.labels"),
    ignored("metadata.annotations['kubernetes.io/ingress-bandwidth']", "traffic is not shaped"),
    ignored("metadata.annotations['kubernetes.io/egress-bandwidth']", "traffic is not shaped"),
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
