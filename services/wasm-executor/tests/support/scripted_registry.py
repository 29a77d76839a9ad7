"""A registry whose answers a test writes: a real HTTP server on a loopback port."""

import json
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl

from controlplane.certificates import KeyPair
from wasm_executor.images.jobs import JobFailed, JobResult, PullLimits
from wasm_executor.images.layers.manifest import digest_of
from wasm_executor.images.store import ContentStore

WASM = b"\0asm\x01\0\0\0" + bytes(range(200))
OCI = "application/vnd.oci.image.manifest.v1+json"
CHALLENGE = 'Bearer realm="http://{host}/token",service="reg",scope="repository:app:pull"'

DAMAGED = "failed precondition (the registry's copy is damaged: push it again)"

LIMITS = PullLimits(
    connect_timeout_s=5.0, stall_timeout_s=0.6, total_timeout_s=8.0, attempts=3, retry_delay_s=0.05
)

type Answer = Callable[[BaseHTTPRequestHandler], None]


def manifest(layer: bytes = WASM, **changes: Any) -> bytes:
    described = {"mediaType": "application/wasm", "digest": digest_of(layer), "size": len(layer)}
    document = {"schemaVersion": 2, "mediaType": OCI, "layers": [{**described, **changes}]}
    return json.dumps(document).encode()


def reply(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer whole; header names are written with underscores."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        sent = {"Content-Length": str(len(body))}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        for name, value in sent.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Give each answer once, in this order."""
    left = iter(answers)

    def answer(request: BaseHTTPRequestHandler) -> None:
        next(left)(request)

    return answer


class Peer:
    """A registry of one repository, `app`. An answer can be replaced, for ever or in turns."""

    def __init__(self, pair: KeyPair | None = None) -> None:
        """With a certificate and key it speaks TLS."""
        self.requests: list[tuple[str, str, str | None]] = []
        self.forms: list[dict[str, str]] = []
        """What was posted."""
        self.closed = threading.Event()
        self.manifest: Answer = reply(200, manifest(), Content_Type=OCI)
        self.blob: Answer = reply(200, WASM)
        self.token: Answer = reply(404)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.certificate, pair.key)
            # The handshake is left to the thread of the connection: one that fails ends that alone.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer_to(self, path: str) -> Answer:
        if "/manifests/" in path:
            return self.manifest
        return self.blob if "/blobs/" in path else self.token

    def seen(self, part: str, method: str = "GET") -> list[str | None]:
        """The Authorization headers of the requests for such a path."""
        return [auth for verb, path, auth in self.requests if part in path and verb == method]


def guarded(peer: Peer, answer: Answer, wanted: str, realm_host: str | None = None) -> Answer:
    """Let only requests with this Authorization header through."""
    challenge = CHALLENGE.format(host=realm_host or peer.host)

    def check(request: BaseHTTPRequestHandler) -> None:
        if request.headers["Authorization"] == wanted:
            answer(request)
        else:
            reply(401, WWW_Authenticate=challenge)(request)

    return check


def cut(request: BaseHTTPRequestHandler) -> None:
    """Promise the layer, send half of it, and hang up."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(WASM)))
    request.end_headers()
    request.wfile.write(WASM[:100])
    request.close_connection = True


def failure(result: JobResult, host: str, target: str = ":v1") -> str:
    """The part of the message that differs, after what all of them have."""
    assert isinstance(result, JobFailed)
    start = f'failed to pull and unpack image "{host}/app{target}": '
    assert result.reason == "ErrImagePull"
    assert result.message.startswith(start)
    return result.message.removeprefix(start)


def unresolved(result: JobResult, host: str, target: str = ":v1") -> str:
    start = f'failed to resolve reference "{host}/app{target}": '
    text = failure(result, host, target)
    assert text.startswith(start)
    return text.removeprefix(start)


def files_of(store: ContentStore) -> list[str]:
    return sorted(path.name for path in store.root.rglob("*") if path.is_file())


def _handler_of(peer: "Peer") -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            peer.requests.append((self.command, self.path, self.headers["Authorization"]))
            with suppress(OSError):
                peer.answer_to(self.path)(self)

        do_HEAD = do_GET  # noqa: N815  # the name that http.server looks for

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"] or 0)
            peer.forms.append(dict(parse_qsl(self.rfile.read(length).decode())))
            self.do_GET()

        def handle(self) -> None:
            with suppress(OSError):  # a handshake that the client ended
                super().handle()

        def log_message(self, *_: object) -> None:
            """Be silent."""

    return Handler
