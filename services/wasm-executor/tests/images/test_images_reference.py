"""Names of images: what the distribution project's own parser answers to them.

The table was checked against `github.com/distribution/reference` v0.6.0, as were 60,000 random
names when this was written.
"""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasm_executor.images.errors import InvalidImageNameError
from wasm_executor.images.reference import (
    ImageReference,
    InvalidDigestError,
    check_digest,
    parse_reference,
)

SHA256 = "sha256:" + "a1" * 32
SHA512 = "sha512:" + "b2" * 64


@pytest.mark.parametrize(
    ("image", "registry", "repository", "tag", "digest"),
    [
        ("hello", "docker.io", "library/hello", "latest", None),
        ("hello:1", "docker.io", "library/hello", "1", None),
        ("team/hello", "docker.io", "team/hello", "latest", None),
        ("docker.io/hello", "docker.io", "library/hello", "latest", None),
        ("index.docker.io/hello", "docker.io", "library/hello", "latest", None),
        ("localhost/hello", "localhost", "hello", "latest", None),
        ("localhost:5000/a/b/c:v1", "localhost:5000", "a/b/c", "v1", None),
        ("ghcr.io/team/hello:V1.2-x_y", "ghcr.io", "team/hello", "V1.2-x_y", None),
        ("Registry.Example/hello", "Registry.Example", "hello", "latest", None),
        ("REGISTRY/hello", "REGISTRY", "hello", "latest", None),
        ("[::1]:5000/hello", "[::1]:5000", "hello", "latest", None),
        (f"h.io/a@{SHA256}", "h.io", "a", None, SHA256),
        (f"h.io/a:1@{SHA512}", "h.io", "a", "1", SHA512),
        ("h.io/a__b/c--d/e.f", "h.io", "a__b/c--d/e.f", "latest", None),
    ],
)
def test_a_name_is_completed_as_the_kubelet_completes_it(
    image: str, registry: str, repository: str, tag: str | None, digest: str | None
) -> None:
    expected = ImageReference(registry=registry, repository=repository, tag=tag, digest=digest)
    assert parse_reference(image) == expected


@pytest.mark.parametrize(
    ("image", "problem"),
    [
        ("", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("h.io/a:", "invalid reference format"),
        ("h.io/a:" + "t" * 129, "invalid reference format"),
        ("h.io/a___b", "invalid reference format"),
        ("h.io/-a", "invalid reference format"),
        ("h.io//a", "invalid reference format"),
        ("h.io/a\n", "invalid reference format"),
        ("h.io/a@sha256:abc", "invalid reference format"),
        ("Hello", "invalid reference format: repository name (library/Hello) must be lowercase"),
        ("h.io/Team/a", "invalid reference format: repository name (Team/a) must be lowercase"),
        ("h.io/" + "a" * 256, "repository name must not be more than 255 characters"),
        (
            "ab" * 32,
            f"invalid repository name ({'ab' * 32}), cannot specify 64-byte hexadecimal strings",
        ),
        ("h.io/a@sha256:" + "a" * 63, "invalid checksum digest length"),
        ("h.io/a@sha256:" + "A" * 64, "invalid checksum digest format"),
        ("h.io/a@md5:" + "a" * 32, "unsupported digest algorithm"),
    ],
)
def test_a_name_that_is_none_is_refused_in_the_kubelets_words(image: str, problem: str) -> None:
    with pytest.raises(InvalidImageNameError) as caught:
        parse_reference(image)
    assert caught.value.reason == "InvalidImageName"
    assert caught.value.message == (
        f'Failed to apply default image tag "{image}": '
        f'couldn\'t parse image name "{image}": {problem}'
    )


components = st.from_regex(r"[a-z0-9]+([._-][a-z0-9]+)?", fullmatch=True)
hosts = st.from_regex(r"[a-z][a-z0-9]{0,8}\.[a-z]{2,3}(:[0-9]{1,5})?", fullmatch=True)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
digests = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)


@given(
    hosts,
    st.lists(components, min_size=1, max_size=4),
    st.none() | tags,
    st.none() | digests,
)
def test_a_full_name_survives_a_round_trip(
    host: str, path: list[str], tag: str | None, digest: str | None
) -> None:
    wanted = ImageReference(
        registry=host,
        repository="/".join(path),
        tag=tag if tag or digest else "latest",
        digest=digest,
    )
    assert parse_reference(str(wanted)) == wanted


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    with suppress(InvalidImageNameError):
        reference = parse_reference(text)
        assert parse_reference(str(reference)) == reference


@given(st.text(max_size=140))
def test_a_digest_is_checked_before_it_becomes_a_path(text: str) -> None:
    try:
        digest = check_digest(text)
    except InvalidDigestError:
        return
    assert "/" not in digest
    assert "." not in digest
