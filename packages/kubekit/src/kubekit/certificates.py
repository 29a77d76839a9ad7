"""Certificates as somebody else made them, broken ones included.

Who imports this depends on `kubekit[certificates]`: most users of this package read none.
"""

import ipaddress
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What a certificate's parts raise when they are looked at: each is parsed only then."""


def names_address(pem: bytes, address: str) -> bool:
    """Say whether who asks this IP address may believe the first certificate of the text."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (*UNREADABLE, x509.ExtensionNotFound):
        return False
    return ipaddress.ip_address(address) in names.get_values_for_type(x509.IPAddress)
