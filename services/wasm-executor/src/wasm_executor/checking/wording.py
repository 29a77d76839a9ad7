"""Go's words: users search for the texts that the kubelet's libraries have printed for years."""

import os
import re
import socket
from collections.abc import Sequence
from typing import Final

_ESCAPES: Final = {
    "\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v",
    '"': r"\"", "\\": r"\\",
}  # fmt: skip
_LONE_BYTE: Final = range(0xDC80, 0xDD00)
"""Where surrogateescape puts a byte that is not UTF-8."""
TIMED_OUT: Final = "context deadline exceeded"
AWAITING_HEADERS: Final = f"{TIMED_OUT} (Client.Timeout exceeded while awaiting headers)"
READING_BODY: Final = f"{TIMED_OUT} (Client.Timeout or context cancellation while reading body)"
BROKEN: Final = "net/http: HTTP/1.x transport connection broken"
PLAIN_ANSWER: Final = "http: server gave HTTP response to HTTPS client"
_MINUTE_S: Final = 60
_STATUS_DIGITS: Final = 3


def quoted(text: str) -> str:
    """Go's %q."""
    return f'"{"".join(map(_quoted_character, text))}"'


def quoted_bytes(data: bytes) -> str:
    return quoted(data.decode(errors="surrogateescape"))


def _quoted_character(character: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if code in _LONE_BYTE:
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"  # noqa: PLR2004 - ASCII ends


def duration(seconds: float) -> str:
    """Go's %v of a time.Duration."""
    if seconds < 1:
        return f"{_number(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 9), _MINUTE_S)
    hours, minutes = divmod(int(minutes), _MINUTE_S)
    if hours:
        return f"{hours}h{minutes}m{_number(rest)}s"
    return f"{minutes}m{_number(rest)}s" if minutes else f"{_number(rest)}s"


def _number(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")


def joined(host: str, port: int) -> str:
    """Go's net.JoinHostPort: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def error_name(error: OSError) -> str:
    """How Go's syscall package names an errno."""
    return os.strerror(error.errno or 0).lower()


def dial_failed(host: str, port: int, error: OSError) -> str:
    return f"dial tcp {joined(host, port)}: connect: {error_name(error)}"


def dial_timed_out(host: str, port: int) -> str:
    return f"dial tcp {joined(host, port)}: i/o timeout"


def lookup_failed(host: str, error: socket.gaierror) -> str:
    """Without the name of the resolver: it was libc that asked."""
    temporary = error.errno == socket.EAI_AGAIN
    return f"dial tcp: lookup {host}: {'server misbehaving' if temporary else 'no such host'}"


def exec_timed_out(command: Sequence[str], timeout_s: float) -> str:
    """The CRI client's words of a command that ran for too long."""
    return f"command timed out: {quoted(' '.join(command))} timed out after {duration(timeout_s)}"


def malformed(head: bytes, reason: str) -> str:
    """Why these bytes are no response, as Go finds it; `reason` where Go would see more."""
    line, ended, rest = head.partition(b"\n")
    line = line.rstrip(b"\r")
    version, space, status = line.partition(b" ")
    if not space:
        return f"{BROKEN}: malformed HTTP response {quoted_bytes(line)}"
    code = status.lstrip(b" ").partition(b" ")[0]
    if len(code) != _STATUS_DIGITS or not code.isdigit():
        return f"{BROKEN}: malformed HTTP status code {quoted_bytes(code)}"
    if re.fullmatch(rb"HTTP/\d\.\d", version) is None:
        return f"{BROKEN}: malformed HTTP version {quoted_bytes(version)}"
    return _malformed_fields(rest, reason) if ended else f"{BROKEN}: {reason}"


def _malformed_fields(fields: bytes, reason: str) -> str:
    for line in fields.split(b"\n"):
        line = line.rstrip(b"\r")  # noqa: PLW2901 - the same line
        if not line:
            break
        if b":" not in line and not line.startswith((b" ", b"\t")):
            return f"{BROKEN}: malformed MIME header: missing colon: {quoted_bytes(line)}"
    return f"{BROKEN}: {reason}"
