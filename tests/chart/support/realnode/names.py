"""The cluster's DNS, as far as pods here ask it: A records of headless Services and their pods."""

import ipaddress
import socket
import struct
import sys
import threading
from typing import Any, Final, Self

from e2e.api import Api

from controlplane import ControlPlane
from realnode.namespaces import Namespaces

DOMAIN: Final = "cluster.local"
PORT: Final = 53
_A, _IN = 1, 1
_ANSWER, _SERVER_FAILED, _NO_SUCH_NAME = 0x8580, 2, 3
_SECONDS_VALID: Final = 5
_POINTER_TO_QUESTION: Final = 0xC00C
_LONGEST: Final = 512


class Names:
    """Answers at an address inside the node's network; a context manager."""

    def __init__(self, plane: ControlPlane, node: Namespaces, address: str) -> None:
        self._plane = plane
        self._socket = node.made_inside(lambda: _bound(address))
        self._address = (address, PORT)
        self._thread = threading.Thread(target=self._answer_all, name="names")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._address)  # the end of its thread
        self._thread.join()
        self._socket.close()

    def _answer_all(self) -> None:
        with Api(self._plane) as api:
            while True:
                query, asker = self._socket.recvfrom(_LONGEST)
                if not query:
                    return
                self._socket.sendto(answered(api, query), asker)


def answered(api: Api, query: bytes) -> bytes:
    """The answer, or that there is none now: whoever asks, asks again."""
    try:
        return answer(api, query)
    except Exception as error:  # noqa: BLE001 - the next query is another's
        print(f"names: no answer to {query!r}: {error!r}", file=sys.stderr)  # noqa: T201 - pytest shows it
        return query[:2] + struct.pack(">H", _ANSWER | _SERVER_FAILED) + query[4:]


def answer(api: Api, query: bytes) -> bytes:
    """The message that answers this one."""
    name, end = _name(query)
    kind, _ = struct.unpack_from(">HH", query, end)
    question = query[12 : end + 4]
    found = addresses(api, name)
    shown = (found or []) if kind == _A else []
    flags = _ANSWER | (_NO_SUCH_NAME if found is None else 0)
    message = query[:2] + struct.pack(">HHHHH", flags, 1, len(shown), 0, 0) + question
    for address in shown:
        message += struct.pack(">HHHIH", _POINTER_TO_QUESTION, _A, _IN, _SECONDS_VALID, 4)
        message += ipaddress.IPv4Address(address).packed
    return message


def addresses(api: Api, name: str) -> list[str] | None:
    """Of a headless Service or one pod of it; None where there is no such name."""
    suffix = f".svc.{DOMAIN}"
    parts = name.removesuffix(suffix).split(".")
    if not name.endswith(suffix) or len(parts) not in (2, 3):
        return None
    host, service, namespace = parts if len(parts) == 3 else ("", *parts)
    selector = f"kubernetes.io/service-name={service}"
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    slices = api.get(path, labelSelector=selector)["items"]
    found = [
        address
        for each in slices
        for endpoint in each.get("endpoints") or []
        if _is_meant(endpoint, host)
        for address in endpoint["addresses"]
    ]
    return found or None


def _is_meant(endpoint: dict[str, Any], host: str) -> bool:
    return bool(endpoint["conditions"].get("ready")) and host in ("", endpoint.get("hostname"))


def _name(query: bytes) -> tuple[str, int]:
    """The name asked for, and where in the message it ends."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii").lower())
        at += 1 + query[at]
    return ".".join(labels), at + 1


def _bound(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, PORT))
    return made
