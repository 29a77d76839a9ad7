"""What to tell of a pod whose executor does not know it: refused at admission, or not planned yet.

The API server drops the text of a 404 and shows `NotFound`, which helps nobody whose pod is there.
The reconciler knows what is bound to the node, and then the kubelet says 400 with words.
"""

from typing import Final

import msgspec

from contract.errors import CommandError, ContractError
from contract.ids import NodeName
from contract.messages.log import LogOpen
from log_server.bus import Peers
from log_server.errors import PeerAwayError
from log_server.podlist import pod_list

_NOT_FOUND: Final = 404
_UNAVAILABLE: Final = 400


class _Named(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str = ""


class _Spec(msgspec.Struct, frozen=True, rename="camel"):
    containers: tuple[_Named, ...] = ()
    init_containers: tuple[_Named, ...] = ()
    ephemeral_containers: tuple[_Named, ...] = ()


class _Pod(msgspec.Struct, frozen=True):
    metadata: _Named = _Named()
    spec: _Spec = _Spec()


class _PodList(msgspec.Struct, frozen=True):
    items: tuple[msgspec.Raw, ...] = ()


_decoder: Final = msgspec.json.Decoder(_Pod)
_list_decoder: Final = msgspec.json.Decoder(_PodList)


async def explained(
    peers: Peers, node: NodeName, command: LogOpen, refusal: CommandError
) -> CommandError:
    """Return what the kubelet would say in the place of an executor's refusal."""
    if refusal.code != _NOT_FOUND:
        return refusal
    try:
        pod = await _find(peers, node, command)
    except (PeerAwayError, ContractError, msgspec.MsgspecError):
        return refusal  # nobody knows better
    if pod is None:
        return refusal
    named = f'container "{command.container}"'
    if command.container not in _names(pod.spec):
        return CommandError(_NOT_FOUND, f'{named} not found in pod "{command.pod}"')
    return CommandError(_UNAVAILABLE, f'{named} in pod "{command.pod}" is not available')


async def _find(peers: Peers, node: NodeName, command: LogOpen) -> _Pod | None:
    body = b"".join([part async for part in await pod_list(peers, node)])
    for raw in _list_decoder.decode(body).items:
        try:
            pod = _decoder.decode(raw)
        except msgspec.MsgspecError:
            continue  # of another shape than a pod: then not the one that is asked for
        if (pod.metadata.namespace, pod.metadata.name) == (command.namespace, command.pod):
            return pod
    return None


def _names(spec: _Spec) -> set[str]:
    kinds = (spec.containers, spec.init_containers, spec.ephemeral_containers)
    return {each.name for kind in kinds for each in kind}
