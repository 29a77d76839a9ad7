"""A real OCI registry on this machine: plain HTTP, or HTTPS with its own CA, or with a login."""

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from controlplane.building import Programs, build_registry
from controlplane.certificates import Authority, KeyPair
from controlplane.ports import free_ports
from controlplane.processes import Component

USERNAME = "puller"
PASSWORD = "puller-password"  # noqa: S105 - of registries that live for one test session
# The registry takes bcrypt only, and Python cannot make it: this is the hash of PASSWORD.
_HTPASSWD = f"{USERNAME}:$2b$05$orBhYaMo.XeXJf/c35/p5OkckcVooLUbCsz4xLHgCJrUe48MNGEqS\n"
ANSWER_WITHIN_S = 5.0


class Registry:
    """One registry; `host` is what image names begin with.

    It wants the login of this module, or whatever `auth` of its own configuration says.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        tls: bool = False,
        login: bool = False,
        auth: Mapping[str, object] | None = None,
        port: int | None = None,
        programs: Programs | None = None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = port or free_ports(1)[0]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        self.login = (USERNAME, PASSWORD) if login else None
        self._auth = auth
        self.authority: Path | None = None
        pair = self._make_certificate() if tls else None
        config = self.data_dir / "config.yml"
        config.write_text(json.dumps(self._config(pair)))  # JSON is YAML
        registry = (programs or build_registry()).path("registry")
        self.process = Component(
            "registry",
            [registry, "serve", str(config)],
            self.data_dir / "registry.log",
            self._ready,
        )

    def start(self) -> None:
        self.process.start()
        self.process.wait_ready()

    def stop(self) -> None:
        """Ends it at once: it answers no more; what was pushed stays in the data directory."""
        self.process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _make_certificate(self) -> KeyPair:
        authority = Authority(self.data_dir, "registry-ca")
        self.authority = authority.pair.certificate
        return authority.issue("registry", name="registry", hosts=("127.0.0.1", "localhost"))

    def _config(self, pair: KeyPair | None) -> dict[str, object]:
        http_section: dict[str, object] = {"addr": self.host}
        if pair is not None:
            http_section["tls"] = {"certificate": str(pair.certificate), "key": str(pair.key)}
        config: dict[str, object] = {
            "version": "0.1",
            "log": {"level": "info", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.data_dir / "storage")},
                "delete": {"enabled": True},
            },
            "http": http_section,
        }
        if self._auth is not None:
            config["auth"] = self._auth
        elif self.login is not None:
            users = self.data_dir / "htpasswd"
            users.write_text(_HTPASSWD)
            config["auth"] = {"htpasswd": {"realm": "wasmlet tests", "path": str(users)}}
        return config

    def _ready(self) -> bool:
        connection = self._connection()
        try:
            connection.request("GET", "/v2/")
            with connection.getresponse() as response:
                return response.status in {200, 401}
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if self.authority is None:
            return http.client.HTTPConnection(self.host, timeout=ANSWER_WITHIN_S)
        context = ssl.create_default_context(cafile=str(self.authority))
        return http.client.HTTPSConnection(self.host, context=context, timeout=ANSWER_WITHIN_S)
