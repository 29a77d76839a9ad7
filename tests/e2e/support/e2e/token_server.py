"""A token server as registries name it in their challenges: a login buys a token to pull with."""

import base64
import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from controlplane.certificates import Authority

SERVICE = "tokens-of-tests"
USERNAME, PASSWORD = "buyer", "buyers-password"
_LIFETIME_S = 300


class TokenServer:
    """Gives pull tokens to one user; others are told 401."""

    def __init__(self, folder: Path) -> None:
        self._authority = Authority(folder, "tokens")
        key = serialization.load_pem_private_key(
            self._authority.pair.key.read_bytes(), password=None
        )
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        self.asked: list[str] = []
        """The paths of the requests."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                pair = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
                is_known = self.headers["Authorization"] == f"Basic {pair}"
                body = json.dumps({"token": server.token(self.path)}).encode() if is_known else b""
                self.send_response(200 if is_known else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Be silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def auth(self) -> dict[str, object]:
        """What a registry's configuration says to have its tokens from here."""
        return {
            "token": {
                "realm": f"http://{self.host}/token",
                "service": SERVICE,
                "issuer": SERVICE,
                "rootcertbundle": str(self._authority.pair.certificate),
            }
        }

    def token(self, path: str) -> str:
        """A token for what a request asks for, signed as the registry wants it."""
        scope = parse_qs(urlsplit(path).query)["scope"][0]
        kind, name, actions = scope.split(":")
        present = int(time.time())
        claims = {
            "iss": SERVICE,
            "aud": SERVICE,
            "sub": USERNAME,
            "jti": str(present),
            "iat": present - 60,
            "nbf": present - 60,
            "exp": present + _LIFETIME_S,
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        pem = self._authority.pair.certificate.read_text().splitlines()
        header = {"typ": "JWT", "alg": "ES256", "x5c": ["".join(pem[1:-1])]}
        signed = f"{_encoded(header)}.{_encoded(claims)}"
        pair = utils.decode_dss_signature(
            self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256()))
        )
        signature = b"".join(number.to_bytes(32) for number in pair)
        return f"{signed}.{_text(signature)}"


def _encoded(part: Mapping[str, object]) -> str:
    return _text(json.dumps(part).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
