"""Certificates that others made, and what is broken in some."""

import ssl

from self_signed import self_signed

from kubekit.certificates import names_address

SUBJECT_ALTERNATIVE_NAME = b"\x55\x1d\x11"
BASIC_CONSTRAINTS = b"\x55\x1d\x13"


def test_only_the_address_that_it_names_may_believe_a_certificate() -> None:
    made = self_signed("10.0.0.7")
    with_its_key = made.key + made.certificate
    for pem in (made.certificate, with_its_key):
        assert names_address(pem, "10.0.0.7")
        assert not names_address(pem, "10.0.0.8")
    assert not names_address(self_signed("node-1").certificate, "10.0.0.7")


def test_what_cannot_be_read_names_nobody() -> None:
    der = ssl.PEM_cert_to_DER_cert(self_signed("10.0.0.7").certificate.decode())
    assert der.count(SUBJECT_ALTERNATIVE_NAME) == 1
    twice = der.replace(SUBJECT_ALTERNATIVE_NAME, BASIC_CONSTRAINTS)
    for pem in (b"", b"no PEM", ssl.DER_cert_to_PEM_cert(twice).encode()):
        assert not names_address(pem, "10.0.0.7")
