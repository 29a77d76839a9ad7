"""Names of images, read as the kubelet reads them.

A name that another kubelet refuses must be refused here with the same words, and one that it
accepts must lead to the same repository: users copy names between clusters. So this follows the
grammar of the distribution project, its normalisation of Docker Hub names included.
"""

import functools
import re
from typing import Final

import msgspec

from wasm_executor.images.errors import InvalidImageNameError

DEFAULT_REGISTRY: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
_LEGACY_REGISTRY: Final = "index.docker.io"
_OFFICIAL: Final = "library/"
_LONGEST_PATH: Final = 255

_COMPONENT: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_LABEL: Final = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REFERENCE: Final = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?"
)
_IDENTIFIER: Final = re.compile(r"[a-f0-9]{64}")
_DIGEST: Final = re.compile(r"([a-z0-9]+(?:[.+_-][a-z0-9]+)*):([a-zA-Z0-9=_-]+)")
_HEX_LENGTHS: Final = {"sha256": 64, "sha384": 96, "sha512": 128}


class InvalidDigestError(ValueError):
    """A text is not a digest that we can verify."""


class ImageReference(msgspec.Struct, frozen=True, kw_only=True):
    """A full name. The digest, where there is one, decides; the tag is then a remark."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        return f"{self.registry}/{self.repository}"

    @property
    def target(self) -> str:
        """What the registry is asked for."""
        return self.digest or self.tag or DEFAULT_TAG

    def with_digest(self, digest: str) -> str:
        return f"{self.name}@{digest}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def check_digest(text: str) -> str:
    """Return the digest when it names a known algorithm and has its length."""
    match = _DIGEST.fullmatch(text)
    if match is None:
        raise InvalidDigestError("invalid checksum digest format")
    algorithm, encoded = match.groups()
    if algorithm not in _HEX_LENGTHS:
        raise InvalidDigestError("unsupported digest algorithm")
    if len(encoded) != _HEX_LENGTHS[algorithm]:
        raise InvalidDigestError("invalid checksum digest length")
    if not re.fullmatch(r"[0-9a-f]+", encoded):
        raise InvalidDigestError("invalid checksum digest format")
    return text


@functools.lru_cache(maxsize=4096)
def parse_reference(image: str) -> ImageReference:
    """Return the full name of an image, or raise `InvalidImageNameError` in the kubelet's words."""
    if _IDENTIFIER.fullmatch(image):
        problem = f"invalid repository name ({image}), cannot specify 64-byte hexadecimal strings"
        raise InvalidImageNameError(image, problem)
    domain, rest = _split_domain(image)
    path = rest.split(":", 1)[0]
    if path.lower() != path:
        problem = f"invalid reference format: repository name ({path}) must be lowercase"
        raise InvalidImageNameError(image, problem)
    return _parse_full(image, f"{domain}/{rest}")


def _split_domain(image: str) -> tuple[str, str]:
    first, slash, rest = image.partition("/")
    is_domain = "." in first or ":" in first or first == "localhost" or first.lower() != first
    domain, path = (first, rest) if slash and is_domain else (DEFAULT_REGISTRY, image)
    if domain == _LEGACY_REGISTRY:
        domain = DEFAULT_REGISTRY
    if domain == DEFAULT_REGISTRY and "/" not in path:
        path = _OFFICIAL + path
    return domain, path


def _parse_full(image: str, full: str) -> ImageReference:
    match = _REFERENCE.fullmatch(full)
    if match is None:
        raise InvalidImageNameError(image, "invalid reference format")
    if len(match["path"]) > _LONGEST_PATH:
        problem = "repository name must not be more than 255 characters"
        raise InvalidImageNameError(image, problem)
    tag, digest = match["tag"], match["digest"]
    try:
        digest = check_digest(digest) if digest else None
    except InvalidDigestError as error:
        raise InvalidImageNameError(image, str(error)) from error
    if tag is None and digest is None:
        tag = DEFAULT_TAG
    return ImageReference(
        registry=match["domain"], repository=match["path"], tag=tag, digest=digest
    )
