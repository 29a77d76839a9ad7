"""Enrol a machine outside the cluster: prepare what proves it, and print the word that joins it."""

import base64
import datetime as dt
import secrets
import string
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from contract.ids import NodeName
from kubekit.client import Api, api_client
from kubekit.errors import KubekitError, NotFoundError
from kubekit.kubeconfig import read_kubeconfig
from kubekit.patches import MERGE
from wasmlet.errors import CommandLineError
from wasmlet.installation import RELEASE
from wasmlet.node.enrolment import Enrolment, timestamp
from wasmlet.roles import OF_CERTIFICATES, apply, path_of, roles

ENROLMENTS: Final = "wasmlet-enrolments"
_ALPHABET: Final = string.ascii_lowercase + string.digits
_ID_LENGTH: Final = 6
_SECRET_LENGTH: Final = 16


class EnrolOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, checked."""

    node: NodeName
    kubeconfig: Path
    nats_url: str
    nats_ca_file: Path | None
    namespace: str
    hours: float


async def enrol(options: EnrolOptions) -> int:
    """Print the word on stdout, and return 0."""
    try:
        async with api_client(options.kubeconfig, user_agent="wasmlet") as api:
            enrolment = _new(options)
            await _prepare(api, options, enrolment)
            known = await _is_there(api, f"/api/v1/nodes/{options.node}")
    except UnicodeDecodeError as error:
        raise CommandLineError(f"cannot enrol {options.node}: a CA is no PEM: {error}") from error
    except (KubekitError, OSError) as error:
        raise CommandLineError(f"cannot enrol {options.node}: {error}") from error
    if known:
        sys.stderr.write(
            f"The Node {options.node} is there: until it is deleted, no word for it ends.\n"
        )
    sys.stderr.write(
        f"On the machine, within {options.hours:g} h: wasmlet node join -, and this word:\n"
    )
    sys.stdout.write(f"{enrolment.word()}\n")
    return 0


def _new(options: EnrolOptions) -> Enrolment:
    connection = read_kubeconfig(options.kubeconfig)
    authority = connection.authority
    if isinstance(authority, Path):
        authority = authority.read_bytes()
    ca_file = options.nats_ca_file
    return Enrolment(
        node=options.node,
        server=connection.server,
        authority=(authority or b"").decode("ascii"),
        token=f"{_random(_ID_LENGTH)}.{_random(_SECRET_LENGTH)}",
        nats_url=options.nats_url,
        nats_authority="" if ca_file is None else ca_file.read_text("ascii"),
        bus_secret=secrets.token_urlsafe(32),
    )


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


async def _prepare(api: Api, options: EnrolOptions, enrolment: Enrolment) -> None:
    await _give_rights(api, options.namespace)
    await apply(api, _reader_of_client_ca(options.node))
    path = f"/api/v1/namespaces/{options.namespace}/secrets"
    end = dt.datetime.now(dt.UTC) + dt.timedelta(hours=options.hours)
    await _add(api, path, ENROLMENTS, enrolment.digests(end))
    await api.request(
        "POST",
        "/api/v1/namespaces/kube-system/secrets",
        body=msgspec.json.encode(_bootstrap_secret(options, enrolment, end)),
    )


async def _give_rights(api: Api, namespace: str) -> None:
    """Apply the roles, but for an installation of the chart's: Helm would not take them over."""
    needed = list(roles(OF_CERTIFICATES, namespace))
    if not await _is_there(api, f"/api/v1/namespaces/{namespace}/configmaps/{RELEASE}"):
        for document in needed:
            await apply(api, document)
        return
    for document in needed:
        if not await _is_there(api, path_of(document)):
            name = f"{document['kind']} {document['metadata']['name']}"
            raise CommandLineError(
                f"there is no {name}: first `helm upgrade --set nodePool.machinesOutside=true`"
            )


async def _is_there(api: Api, path: str) -> bool:
    try:
        await api.request("GET", path)
    except NotFoundError:
        return False
    return True


async def _add(api: Api, path: str, name: str, more: Mapping[str, str]) -> None:
    """Add entries to a Secret, and leave all others."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in more.items()}
    body = msgspec.json.encode({"data": data})
    try:
        await api.request("PATCH", f"{path}/{name}", body=body, content_type=MERGE)
    except NotFoundError:
        new = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
        await api.request("POST", path, body=msgspec.json.encode(new))


def _reader_of_client_ca(node: NodeName) -> dict[str, Any]:
    """Return the leave to read the one ConfigMap with the CA of client certificates."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"wasmlet-node-{node}", "namespace": "kube-system"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "Role",
            "name": "extension-apiserver-authentication-reader",
        },
        "subjects": [
            {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "User",
                "name": f"system:node:{node}",
            }
        ],
    }


def _bootstrap_secret(
    options: EnrolOptions, enrolment: Enrolment, end: dt.datetime
) -> dict[str, Any]:
    token_id, _, secret = enrolment.token.partition(".")
    of_node = f"system:bootstrappers:wasmlet:{options.node.replace('.', ':')}"
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"},
        "stringData": {
            "description": f"Lets the machine {options.node} join as a node of wasmlet.",
            "token-id": token_id,
            "token-secret": secret,
            "expiration": timestamp(end),
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": f"system:bootstrappers:wasmlet,{of_node}",
        },
    }
