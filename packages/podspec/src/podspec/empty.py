"""Empty text in a manifest: what templates leave where nobody gave a value.

An API server takes `imagePullPolicy: ""` for none at all, and fills its default in. Whoever judges
or runs a manifest that no API server has seen takes it out first. All other empty text stays: an
API server refuses it, or it means something.
"""

from collections.abc import Mapping
from typing import Any, Final

from podspec.fields import ITEM, TREE, Node

_FILLED_IN: Final = (
    "spec.restartPolicy",
    "spec.dnsPolicy",
    "].imagePullPolicy",
    "].image.pullPolicy",
    "].terminationMessagePolicy",
    ".httpGet.scheme",
    ".fieldRef.apiVersion",
    "].ports[].hostIP",
)
"""How the paths end of text that an API server has a default for, or takes for none."""


def without_empty(pod: Mapping[str, Any]) -> dict[str, Any]:
    """The pod without empty text where an API server would take it for none."""
    kept: dict[str, Any] = _kept(TREE, pod)
    return kept


def _kept(place: Node, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: inner if (below := place.child(str(key))) is None else _kept(below, inner)
            for key, inner in value.items()
            if not _is_empty(place.child(str(key)), inner)
        }
    if isinstance(value, list) and (item := place.below.get(ITEM)) is not None:
        return [_kept(item, each) for each in value]
    return value


def _is_empty(place: Node | None, value: Any) -> bool:
    return (
        value == ""
        and place is not None
        and place.row is not None
        and place.row.path.endswith(_FILLED_IN)
    )
