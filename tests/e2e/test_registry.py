"""The registry is a real one: plain or with TLS, open or with a login."""

from pathlib import Path

import httpx
import pytest
from e2e import guests
from e2e.images import Images, digest_of

from controlplane import Registry


def test_what_is_pushed_comes_back(images: Images) -> None:
    module = guests.prints("hello\n")
    name = images.push(module, "round/trip")
    assert name == f"{images.registry.host}/round/trip:v1"
    assert images.pull("round/trip") == module


def test_a_registry_with_login_and_tls_refuses_a_stranger(tmp_path: Path) -> None:
    with Registry(tmp_path, tls=True, login=True) as private:
        with Images(private) as images:
            images.push(guests.exits(0), "private/module")
            assert images.pull("private/module")
        private.login = None
        with Images(private) as stranger, pytest.raises(httpx.HTTPStatusError, match="401"):
            stranger.pull("private/module")


def test_the_registrys_certificate_is_of_its_own_authority(tmp_path: Path) -> None:
    with (
        Registry(tmp_path, tls=True) as private,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        httpx.get(f"{private.url}/v2/", trust_env=False)


def test_the_digest_of_a_manifest_is_the_registrys_own(images: Images) -> None:
    images.push(guests.exits(0), "digest/check")
    digest = images.put_manifest("digest/check", "copy", images.manifest("digest/check"))
    assert digest == images.manifest_digest("digest/check")
    assert digest == digest_of(images.manifest("digest/check"))
