"""The GET of a probe or a hook, byte for byte what Go's client sends for the kubelet.

A path is parsed as a URL first, so it may bring a query, may lack its leading slash and may be no
URL at all: then it is taken as it is, percent signs and all.
"""

import re
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

from contract.messages.health import HttpGet
from wasm_executor.checking.errors import NoAnswerError, NoRequestError
from wasm_executor.checking.finding import KUBERNETES_VERSION
from wasm_executor.checking.wording import joined, quoted

PROBE_AGENT: Final = f"kube-probe/{KUBERNETES_VERSION}"
HOOK_AGENT: Final = f"kube-lifecycle/{KUBERNETES_VERSION}"
SCHEME_PORTS: Final = {"http": 80, "https": 443}

type Fields = tuple[tuple[str, str], ...]

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NO_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_PATH_AS_IT_IS: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/\[\]]|%[0-9A-Fa-f]{2})*")
_PATH_SAFE: Final = "-._~$&+,/:;=@"
"""What Go leaves alone where it has to escape a path anew."""
_NO_HOST: Final = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>\"\x80-\U0010ffff]")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_NEVER_SENT: Final = frozenset(
    {"Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Trailer"}
)
"""Go writes the first two itself, and lets nobody say how long a GET is."""


@dataclass(frozen=True, slots=True)
class Get:
    """One request, before it is bytes."""

    scheme: str
    host: str
    port: int
    uri: str
    authority: str
    """Host and port as the URL has them."""
    url: str
    fields: Fields
    host_field: str = ""
    """What the pod wants as Host; empty is the URL's."""

    @property
    def head(self) -> bytes:
        host = self.host_field or self.authority
        agent = next((value for name, value in self.fields if name == "User-Agent"), "")
        lines = [f"GET {self.uri} HTTP/1.1", f"Host: {host}"]
        if agent.strip():
            lines.append(f"User-Agent: {agent.strip()}")
        sent = [field for field in self.fields if field[0] not in _NEVER_SENT]
        lines += [f"{name}: {value.strip()}" for name, value in sorted(sent, key=_name)]
        if _may_be_kept(sent):
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def request_for(action: HttpGet, pod_ip: str, agent: str) -> Get:
    """Make the request; NoRequestError where the kubelet would have made none either."""
    host = action.host or pod_ip
    scheme = action.scheme.lower() or "http"
    uri = _uri(action.path)
    authority = joined(host, action.port)
    url = f"{scheme}://{authority}{uri if action.path else ''}"
    bad = _NO_HOST.search(host)
    if bad is not None:
        escape = quote(bad.group())[:3]
        shown = f"{scheme}://{joined(quote(host, safe=':'), action.port)}{uri}"
        raise NoRequestError(f"parse {quoted(shown)}: invalid URL escape {quoted(escape)}")
    fields = tuple((_canonical(name), value) for name, value in action.headers)
    wanted = next((value for name, value in fields if name == "Host"), "")
    fields = _with_defaults(fields, agent)
    return Get(scheme, host, action.port, uri, authority, url, fields, wanted)


def require_sendable(get: Get) -> None:
    """Nothing of a pod's may end a line of the head before its time."""
    for name, value in get.fields:
        if _TOKEN.fullmatch(name) is None:
            raise NoAnswerError(f"net/http: invalid header field name {quoted(name)}")
        if _NO_VALUE.search(value):
            raise NoAnswerError(f"net/http: invalid header field value for {quoted(name)}")


def redirected(get: Get, location: str) -> Get:
    """Follow a Location: same headers, and the Host that was asked for while it is relative."""
    try:
        url = urljoin(get.url, location)
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        text = f"failed to parse Location header {quoted(location)}: {error}"
        raise NoAnswerError(text) from error
    referred = tuple(field for field in get.fields if field[0] != "Referer")
    own = next((value for name, value in get.fields if name == "Referer"), "")
    downgraded = get.scheme == "https" and parts.scheme == "http"
    referer = own or ("" if downgraded else get.url)
    uri = _uri(parts.path) + (f"?{parts.query}" if parts.query else "")
    return replace(
        get,
        scheme=parts.scheme,
        host=parts.hostname or "",
        port=port or SCHEME_PORTS.get(parts.scheme, 0),
        uri=uri,
        authority=parts.netloc.rpartition("@")[2],
        url=url,
        fields=(*referred, ("Referer", referer)) if referer else referred,
        host_field="" if urlsplit(location).netloc else get.host_field,
    )


def _name(field: tuple[str, str]) -> str:
    return field[0]


def _canonical(name: str) -> str:
    """As Go spells a header: each word of it with one capital."""
    if _TOKEN.fullmatch(name) is None:
        return name
    return "-".join(word[:1].upper() + word[1:].lower() for word in name.split("-"))


def _with_defaults(fields: Fields, agent: str) -> Fields:
    names = {name for name, _ in fields}
    if "User-Agent" not in names:
        fields = (*fields, ("User-Agent", agent))
    if "Accept" not in names:
        return (*fields, ("Accept", "*/*"))
    if next(value for name, value in fields if name == "Accept"):
        return fields
    return tuple(field for field in fields if field[0] != "Accept")


def _may_be_kept(fields: list[tuple[str, str]]) -> bool:
    """Whether nothing that the pod says ends the connection, or hands it to another protocol."""
    said = {value.strip().lower() for name, value in fields if name == "Connection"}
    upgrades = "upgrade" in said and any(name == "Upgrade" for name, _ in fields)
    return "close" not in said and not upgrades


def _uri(path: str) -> str:
    """Path and query of what stands in `httpGet.path`."""
    whole, _, _ = path.partition("#")
    path_part, question, query = whole.partition("?")
    if _CONTROL.search(path) or _BAD_ESCAPE.search(path_part) or _looks_broken(path_part):
        path_part, question, query = path.replace("%", "%25").replace("?", "%3F"), "", ""
    path_part = _without_authority(path_part)
    if _PATH_AS_IT_IS.fullmatch(path_part) is None:
        path_part = quote(unquote_to_bytes(path_part), safe=_PATH_SAFE)
    slash = "" if path_part.startswith("/") else "/"
    return f"{slash}{path_part}{question}{query}"


def _looks_broken(path: str) -> bool:
    """A colon in the first segment that no scheme stands before."""
    return ":" in path.partition("/")[0] and _SCHEME.match(path) is None


def _without_authority(path: str) -> str:
    """The kubelet overwrites scheme and host of a path that brings them."""
    path = _SCHEME.sub("", path, count=1) if "://" in path else path
    return f"/{path[2:].partition('/')[2]}" if path.startswith("//") else path
