"""The nats-server configuration: users and permissions, generated from the contract's table."""

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from contract.ids import NodeName
from contract.permissions import Permissions, permissions, serves_requests
from contract.subjects import Role

ADMISSION_TIMEOUT_S = 1.5
"""For one login: the registrar may have to ask the API server. After 2 s the server sends its first
PING, which clients expect after the verdict only."""
SERVICES = (Role.NODE_REGISTRAR, Role.POD_RECONCILER, Role.LOG_SERVER)


def all_permissions(nodes: Iterable[NodeName]) -> list[Permissions]:
    """Return the users of a bus: one per service, one per executor."""
    users = [permissions(role) for role in SERVICES]
    users += [permissions(Role.WASM_EXECUTOR, node) for node in nodes]
    return users


def write_passwords(folder: Path, users: Iterable[Permissions]) -> dict[str, str]:
    """Return a random password per user, and leave each in a file `<user>.password` (0600)."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passwords = {}
    for user in users:
        passwords[user.user] = secrets.token_urlsafe(24)
        file = folder / f"{user.user}.password"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(passwords[user.user])
    return passwords


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """The place of one server among several."""

    name: str
    port: int
    routes: tuple[str, ...]


def server_config(
    port: int,
    users: Iterable[Permissions],
    passwords: Mapping[str, str],
    ports_folder: Path,
    issuer: str | None = None,
    cluster: Cluster | None = None,
) -> str:
    """Return the configuration as text (JSON, which the server's format contains).

    Nobody who is not listed may connect, and a listed user may do only what its subjects say. With
    an issuer, who is not listed is asked for: see `callout`.
    """
    entries = [{**user_entry(user), "password": passwords[user.user]} for user in users]
    config: dict[str, object] = {
        "listen": f"127.0.0.1:{port}",
        "ports_file_dir": str(ports_folder),
        "max_payload": 1024 * 1024,
        "authorization": {"users": entries} | ({} if issuer is None else callout(issuer)),
    }
    if cluster is not None:
        config["server_name"] = cluster.name
        config["cluster"] = {
            "name": "wasmlet",
            "listen": f"127.0.0.1:{cluster.port}",
            "routes": list(cluster.routes),
        }
    return json.dumps(config, indent=2)


def callout(issuer: str) -> dict[str, object]:
    """Return what makes the server ask the registrar about everybody but the services themselves.

    `issuer` is the public account key by which the registrar signs.
    """
    listed = [role.value for role in SERVICES]
    return {
        "timeout": ADMISSION_TIMEOUT_S,
        "auth_callout": {"issuer": issuer, "auth_users": listed},
    }


def user_entry(user: Permissions) -> dict[str, object]:
    """Return one user of the configuration, without a password."""
    return {
        "user": user.user,
        "permissions": {
            "publish": {"allow": list(user.publish)},
            "subscribe": {"allow": list(user.subscribe)},
            **_responses(user),
        },
    }


def _responses(user: Permissions) -> dict[str, object]:
    """Let a user answer each request once, within the longest poll; count and time are explicit
    because the server's defaults would cut a long poll short.
    """
    role = next(r for r in Role if user.user == r or user.user.startswith(f"{r}-"))
    if not serves_requests(role):
        return {}
    return {"allow_responses": {"max": 1, "expires": f"{user.response_expiry_s}s"}}
