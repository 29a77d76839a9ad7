"""The body of a `/pods` answer: a v1.PodList, put together page by page.

The pods are the API server's own bytes, untouched. When a later page cannot be had, the connection
is broken off, so that nobody takes half a list for a whole one.
"""

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from contract.ids import NodeName
from log_server.bus import Peers

_HEAD: Final = b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":['
_TAIL: Final = b"]}"


async def pod_list(peers: Peers, node: NodeName) -> AsyncIterator[bytes]:
    """Return the body's parts, once the first page is there; raises what asking raises."""
    pages = peers.pods(node)
    first = await anext(pages)
    return _body(first, pages)


async def _body(
    first: tuple[msgspec.Raw, ...], pages: AsyncIterator[tuple[msgspec.Raw, ...]]
) -> AsyncIterator[bytes]:
    yield _HEAD + b",".join(map(bytes, first))
    begun = bool(first)
    async for page in pages:
        if page:
            yield (b"," if begun else b"") + b",".join(map(bytes, page))
            begun = True
    yield _TAIL
