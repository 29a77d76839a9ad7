"""Which entries of a list of hosts could ever allow something."""

from typing import Any

import pytest

from podspec.hostrules import WANTED, is_host_rule
from podspec.reviewing import Finding, review

PATH = "metadata.annotations['wasmlet.dev/allowed-hosts']"


def refused(text: str) -> tuple[Finding, ...]:
    metadata = {"name": "p", "annotations": {"wasmlet.dev/allowed-hosts": text}}
    pod: dict[str, Any] = {"metadata": metadata, "spec": {"containers": [{"name": "main"}]}}
    return review(pod).refused


@pytest.mark.parametrize(
    "text",
    [
        *("api", "API.example", "a-b.example:443", "api.example:*", "*.svc", "*.svc:8080", "*"),
        *("*:*", "10.0.0.7", "10.0.0.7:65535", "fd00::7", "[fd00::7]", "[::1]:80", "1.example"),
        *("_x.example", "1password.com", "3com", "10.0.0.7.example", "::ffff:10.0.0.7"),
    ],
)
def test_a_host_is_taken(text: str) -> None:
    assert is_host_rule(text.lower())
    assert refused(f"{text}, other.example:443,") == ()


@pytest.mark.parametrize(
    "text",
    [
        *("exmaple..com", ".example", "example.", "http://host", "host:99999", "host:65536"),
        *("host:0", "host:00", "host:", "host:http", "a host", "host/path", "u@host", "*example"),
        *("a.*.b", "-a", "a-", "10.0.0.256", "10.0.0", "10.0.0.7.", "[fd00::7", "[name]", "a;b"),
        *(f"{'a' * 64}.example", "host:80:80"),
    ],
)
def test_what_could_never_be_asked_is_refused_by_name(text: str) -> None:
    assert not is_host_rule(text)
    whole = f"other.example, {text}"
    assert refused(whole) == (Finding(PATH, f"{whole!r} is not {WANTED}"),)


@pytest.mark.parametrize("text", ["1:2:3", "[::1::]", "[:::]", "fd00::7:99999"])
def test_an_ipv6_address_is_read_to_its_end(text: str) -> None:
    assert not is_host_rule(text)


def test_a_long_list_is_read_in_no_time() -> None:
    labels = ".".join(["a" * 63] * 300)
    assert refused(f"{labels}, {labels}:x")


@pytest.mark.parametrize("entry", [", ", " ,", ",  ,", "a, ", "::1, ", "*:80 , "])
def test_a_list_with_a_bad_end_is_refused_in_no_time(entry: str) -> None:
    """Whoever may create pods writes it, and the reconciler of all nodes reads it."""
    assert refused(entry * 2000 + "!")
