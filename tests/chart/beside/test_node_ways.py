"""The real node's ways out: one that breaks neither takes the others along nor hangs the run."""

import errno
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from e2e.api import Api
from realnode.forwarding import Forwarding
from realnode.names import answered
from realnode.namespaces import Namespaces

HEADER = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0)
QUESTION = b"\x03web\x05users\x03svc\x07cluster\x05local\x00" + struct.pack(">HH", 1, 1)
SERVER_FAILED = 2


def test_a_name_that_cannot_be_looked_up_now_is_answered_so() -> None:
    def away(*_: object, **__: object) -> dict[str, Any]:
        raise httpx.ReadTimeout("busy")

    said = answered(cast("Api", SimpleNamespace(get=away)), HEADER + QUESTION)
    number, flags = struct.unpack_from(">HH", said)
    assert (number, flags & 0xF) == (7, SERVER_FAILED)
    assert said.endswith(QUESTION)
    cut = answered(cast("Api", SimpleNamespace(get=away)), HEADER)
    assert struct.unpack_from(">HH", cut)[1] & 0xF == SERVER_FAILED


class Taken(Namespaces):
    """One where nothing can be bound."""

    def made_inside[T](self, _make: Callable[[], T]) -> T:
        raise OSError(errno.EADDRINUSE, "taken")


def test_a_way_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="taken"), Forwarding(Taken(tmp_path), {("127.0.0.1", 1): 1}):
        pass
    assert "forwarding" not in {each.name for each in threading.enumerate()}
