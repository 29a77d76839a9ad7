"""A pod's image pull secrets as credentials, read and ordered as the kubelet's keyring does it.

Each Secret is a file of Docker's, and says for which registries, or parts of registries, it is.
Which of them an image is pulled with is found where it is pulled. Unlike the kubelet, an identity
token is honoured. What is wrong with a Secret is said without a word of its content.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec

from contract.messages.pull import PullKey
from pod_reconciler.domain.material import Content, Kind, Lack
from pod_reconciler.domain.pod import Pod
from pod_reconciler.domain.surroundings import Surroundings

LACK_REASON: Final = "FailedToRetrieveImagePullSecret"
_JSON: Final = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson")
_CFG: Final = ("kubernetes.io/dockercfg", ".dockercfg")
_SCHEME: Final = re.compile("https?://")
_API: Final = re.compile(r"\A/v[12](?=/)")


class PullKeys(NamedTuple):
    """What a pod may pull with; why nothing can be said of that; which Secrets are missing."""

    keys: tuple[PullKey, ...] = ()
    problem: str = ""
    lacking: tuple[str, ...] = ()


class _UnreadableError(Exception):
    """A Secret is not what its type says; the text quotes nothing of it but a registry's name."""


def lack_message(names: tuple[str, ...]) -> str:
    """What a kubelet says of Secrets that are not to be had."""
    return (
        f"Unable to retrieve some image pull secrets ({', '.join(names)}); "
        "attempting to pull the image may not succeed."
    )


def pull_keys_of(pod: Pod, around: Surroundings) -> PullKeys:
    """Read the pod's pull secrets. More specific locations come first, else the pod's order."""
    keys: list[PullKey] = []
    lacking: list[str] = []
    problem = ""
    for name in (each.name for each in pod.spec.image_pull_secrets if each.name):
        found = around.material.find(Kind.SECRET, name)
        if isinstance(found, Lack):
            lacking.append(name)
            continue
        try:
            keys += _keys_in(name, found)
        except _UnreadableError as error:
            problem = problem or f'image pull secret "{name}" cannot be read: {error}'
    keys.sort(key=lambda each: each.location, reverse=True)  # stable, reversed too
    return PullKeys(() if problem else tuple(keys), problem, tuple(lacking))


def _keys_in(name: str, secret: Content) -> Iterator[PullKey]:
    """One key per entry. A Secret of another type, or without the file, has none."""
    for type_, key in (_JSON, _CFG):
        content = secret.data.get(key)
        if secret.type == type_ and content:
            document = _decoded(content, key)
            entries = document.get("auths") if key == _JSON[1] else document
            for place, entry in _mapping(entries or {}, "auths").items():
                location = _location(place)
                if location:
                    login = _login(place, _mapping(entry or {}, f'the entry "{place}"'))
                    yield PullKey(
                        location=location, secret_name=name, secret_uid=secret.uid, **login
                    )


def _decoded(content: bytes, key: str) -> Mapping[str, Any]:
    try:
        return _mapping(msgspec.json.decode(content), key)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Not raised from: the error quotes what it could not read.
        raise _UnreadableError(f"{key} is not JSON") from None


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _UnreadableError(f"{what} is not an object")
    return value


def _location(place: str) -> str:
    """The host, and what of the path counts; empty for what is no address."""
    try:
        parts = urlsplit(place if _SCHEME.match(place) else f"https://{place}")
        host = parts.netloc.rpartition("@")[2]
        path = _API.sub("", unquote(parts.path), count=1)
    except ValueError:
        return ""
    return host if path == "/" else host + path


def _login(place: str, entry: Mapping[str, Any]) -> dict[str, str]:
    """`auth` counts before the two parts of it. Names are read in any case, as Go reads them."""
    fields = {key.lower(): value for key, value in entry.items() if value is not None}
    wanted = ("username", "password", "auth", "identitytoken")
    texts = {key: fields.get(key, "") for key in wanted}
    for key, value in texts.items():
        if not isinstance(value, str):
            raise _UnreadableError(f'{key} of "{place}" is not a text')
    if texts["auth"]:
        texts["username"], texts["password"] = _pair(place, texts["auth"])
    return {
        "username": texts["username"],
        "password": texts["password"],
        "identity_token": texts["identitytoken"],
    }


def _pair(place: str, auth: str) -> tuple[str, str]:
    text = re.sub(r"\s", "", auth)
    try:
        padding = "" if text.endswith("=") else "=" * (-len(text) % 4)
        pair = base64.b64decode(text + padding, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        pair = ""
    username, colon, password = pair.partition(":")
    if not colon:
        raise _UnreadableError(f'auth of "{place}" is not base64 of username:password')
    return username, password
