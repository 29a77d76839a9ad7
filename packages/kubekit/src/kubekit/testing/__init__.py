"""For tests: a peer that says what it was told to, and a reflector that listens to it."""

from kubekit.testing.following import QUICK, Followed, following
from kubekit.testing.replies import (
    End,
    Reply,
    bookmark,
    json_reply,
    list_reply,
    pod,
    status_reply,
    watch_reply,
    write_kubeconfig,
)
from kubekit.testing.server import Asked, RecordedServer, recorded_server, until

__all__ = [
    "QUICK",
    "Asked",
    "End",
    "Followed",
    "RecordedServer",
    "Reply",
    "bookmark",
    "following",
    "json_reply",
    "list_reply",
    "pod",
    "recorded_server",
    "status_reply",
    "until",
    "watch_reply",
    "write_kubeconfig",
]
