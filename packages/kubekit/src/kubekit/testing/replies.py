"""Recorded answers, and short ways to write the common ones."""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec


class End(StrEnum):
    """How an answer ends after its chunks."""

    WHOLE = "whole"
    CUT = "cut"
    """The connection is closed in the middle of the body."""
    HELD = "held"
    """The connection stays open, silent, until the server closes."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded answer."""

    status: int = 200
    headers: Mapping[str, str] = {}
    chunks: tuple[bytes, ...] = ()
    end: End = End.WHOLE
    chunk_pause_s: float = 0.0


def json_reply(document: Any, *, status: int = 200) -> Reply:
    """An answer with a JSON body."""
    return Reply(status=status, chunks=(msgspec.json.encode(document),))


def status_reply(code: int, reason: str, message: str = "", **details: Any) -> Reply:
    """A metav1.Status."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
    body |= {"reason": reason, "message": message, "details": details}
    return json_reply(body, status=code)


def list_reply(version: str, *items: Any, continue_: str = "") -> Reply:
    """One page of a list."""
    return json_reply(
        {"metadata": {"resourceVersion": version, "continue": continue_}, "items": items}
    )


def watch_reply(*events: tuple[str, Any], end: End = End.HELD) -> Reply:
    """A watch that shows these events, each a type and an object, and then stays open."""
    lines = (
        msgspec.json.encode({"type": type_, "object": value}) + b"\n" for type_, value in events
    )
    return Reply(chunks=tuple(lines), end=end)


def pod(name: str, version: str, *, uid: str = "", **fields: Any) -> dict[str, Any]:
    """The least that a pod needs to be followed."""
    meta = {"name": name, "namespace": "ns", "uid": uid or f"uid-{name}"}
    return {"metadata": {**meta, "resourceVersion": version}, **fields}


def bookmark(version: str) -> tuple[str, Any]:
    """An event that only moves the version on."""
    # As API server 1.36 sends it: neither name nor UID.
    empty = {"spec": {"containers": None}, "status": {}}
    meta = {"resourceVersion": version, "creationTimestamp": None}
    return "BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": meta, **empty}


def write_kubeconfig(path: Path, server: str, **user: str) -> Path:
    """A kubeconfig for a server without TLS of its own authority."""
    document = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "s", "user": "u"}}],
        "clusters": [{"name": "s", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(document))
    return path
