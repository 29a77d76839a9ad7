"""Which of a pod's credentials an image is pulled with: matched as the kubelet's keyring does it.

A credential is for a host, or for the beginning of a path there; a `*` in a host stands for one
part of its name, or for a piece of it. Several may match: they are tried in the keyring's order.
"""

import functools
import re
from typing import Final

import msgspec

from contract.messages.pull import PullKey
from wasm_executor.images.errors import ImagePullError
from wasm_executor.images.jobs import Credentials
from wasm_executor.images.policy import ERR_IMAGE_PULL
from wasm_executor.images.reference import DEFAULT_REGISTRY, ImageReference

_DOCKER_HUB: Final = "index.docker.io"
_HOST_AND_PORT: Final = re.compile(r"(?:\[([^\[\]]*)\]|([^:]*)):([^:]*)")


class Keyring(msgspec.Struct, frozen=True, kw_only=True):
    """A pod's. `namespace` is where its Secrets are."""

    namespace: str = ""
    keys: tuple[PullKey, ...] = ()
    problem: str = ""
    """Why its Secrets cannot be read."""

    def keys_for(self, reference: ImageReference) -> tuple[PullKey, ...]:
        """Return what may open this repository; raise `ImagePullError` where nobody knows."""
        if self.problem:
            raise ImagePullError(ERR_IMAGE_PULL, self.problem)
        found = tuple(key for key in self.keys if matches(key.location, reference.name))
        if not found and reference.registry == DEFAULT_REGISTRY:
            found = tuple(key for key in self.keys if key.location == _DOCKER_HUB)
        return found


NO_KEYS: Final = Keyring()


def credentials_of(key: PullKey) -> Credentials:
    """Return what is shown to the registry."""
    return Credentials(
        username=key.username, password=key.password, identity_token=key.identity_token
    )


@functools.lru_cache(maxsize=1024)
def matches(location: str, repository: str) -> bool:
    """Say whether a location is that of a repository, or of a folder of it."""
    host, slash, path = location.partition("/")
    wanted_host, _, wanted_path = repository.partition("/")
    name, port = _split(host)
    wanted_name, wanted_port = _split(wanted_host)
    labels, wanted_labels = name.split("."), wanted_name.split(".")
    return (
        port == wanted_port
        and len(labels) == len(wanted_labels)
        and f"/{wanted_path}".startswith(slash + path)
        and all(map(_label_matches, labels, wanted_labels))
    )


def _split(host: str) -> tuple[str, str]:
    found = _HOST_AND_PORT.fullmatch(host)
    return (found[1] or found[2] or "", found[3]) if found else (host, "")


def _label_matches(label: str, wanted: str) -> bool:
    pattern = ".*".join(map(re.escape, label.split("*")))
    return re.fullmatch(pattern, wanted) is not None
