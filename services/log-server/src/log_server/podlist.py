"""The body of a `/pods` answer: a v1.PodList, put together page by page.

The pods are the API server's own bytes, untouched. When a later page cannot be had, the connection
is broken off, so that nobody takes half a list for a whole one.
"""

from collections.abc import AsyncIterator
from typing import Final

from contract.ids import NodeName
from contract.messages.pod import PodsListed
from log_server.bus import Peers

_HEAD: Final = b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":['
_TAIL: Final = b"]}"


async def pod_list(peers: Peers, node: NodeName) -> AsyncIterator[bytes]:
    """Return the body's parts, once the first page is there; raises what asking raises."""
    pages = peers.pods(node)
    first = await anext(pages)
    return _body(first, pages)


async def _body(first: PodsListed, pages: AsyncIterator[PodsListed]) -> AsyncIterator[bytes]:
    yield _HEAD + _items(first)
    begun = bool(first.pods or first.part)
    within = bool(first.offset)
    async for page in pages:
        if items := _items(page):
            yield (b"," if begun and not within else b"") + items
            begun = True
        within = bool(page.offset)
    yield _TAIL


def _items(page: PodsListed) -> bytes:
    """Return whole pods, or a part of a pod that is larger than a page."""
    return page.part or b",".join(map(bytes, page.pods))
