"""Which credentials an image is pulled with: the cases of the kubelet's own keyring test."""

import pytest

from contract.messages.pull import PullKey
from wasm_executor.images.errors import ImagePullError
from wasm_executor.images.keyring import Keyring, credentials_of, matches
from wasm_executor.images.reference import parse_reference


@pytest.mark.parametrize(
    ("location", "repository", "does"),
    [
        ("*.kubernetes.io", "foo.kubernetes.io/app", True),
        ("*.kubernetes.io", "kubernetes.io/app", False),
        ("*.kubernetes.io", "a.b.kubernetes.io/app", False),
        ("prefix.*.io", "prefix.kubernetes.io/app", True),
        ("prefix.*.io", "kubernetes.io/app", False),
        ("prefix*.kubernetes.io", "prefix-good.kubernetes.io/app", True),
        ("*-good.kubernetes.io", "prefix-good.kubernetes.io/app", True),
        ("*.*.kubernetes.io", "a.b.kubernetes.io/app", True),
        ("*.kubernetes.io/foo", "prefix.kubernetes.io/foo/bar", True),
        ("*.kubernetes.io/foo", "prefix.kubernetes.io/bar", False),
        ("kubernetes.io/foo", "kubernetes.io/foobar", True),  # a prefix of text, as there
        ("kubernetes.io:5000", "kubernetes.io:5000/app", True),
        ("kubernetes.io:5000", "kubernetes.io/app", False),
        ("kubernetes.io", "kubernetes.io:5000/app", False),
        ("*.io:5000/a", "kubernetes.io:5000/a/b", True),
        ("[::1]:5000", "[::1]:5000/app", True),
        ("k.b+rnetes.io", "kubbernetes.io/app", False),  # no regular expression
        ("https", "https/app", True),
    ],
)
def test_locations_match_as_in_a_kubelet(location: str, repository: str, *, does: bool) -> None:
    assert matches(location, repository) is does


def ring(*locations: str, problem: str = "") -> Keyring:
    keys = tuple(PullKey(location=each, username=each, password="p") for each in locations)
    return Keyring(namespace="ns", keys=keys, problem=problem)


def found(keyring: Keyring, image: str) -> list[str]:
    return [each.location for each in keyring.keys_for(parse_reference(image))]


def test_all_that_match_are_tried_in_the_order_of_the_plan() -> None:
    keyring = ring("r.example/team/app", "r.example/team", "r.example", "other.example")
    assert found(keyring, "r.example/team/app:v1") == [
        "r.example/team/app",
        "r.example/team",
        "r.example",
    ]
    assert found(keyring, "elsewhere.example/team/app") == []


def test_the_name_that_docker_login_writes_opens_docker_hub_only_where_no_other_does() -> None:
    assert found(ring("index.docker.io"), "busybox") == ["index.docker.io"]
    assert found(ring("index.docker.io", "docker.io"), "busybox") == ["docker.io"]
    assert found(ring("index.docker.io"), "r.example/busybox") == []


def test_secrets_that_cannot_be_read_fail_the_pull_with_the_reason() -> None:
    with pytest.raises(ImagePullError) as caught:
        found(ring("r.example", problem="no JSON"), "r.example/app")
    assert (caught.value.reason, caught.value.message) == ("ErrImagePull", "no JSON")


def test_credentials_show_nothing_of_themselves() -> None:
    shown = credentials_of(PullKey(location="r", username="u", password="s3cret"))
    assert shown.password == "s3cret"
    assert "s3cret" not in repr(shown)
