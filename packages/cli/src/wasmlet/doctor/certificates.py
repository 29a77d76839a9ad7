"""How old a certificate is, against its lifetime."""

from datetime import UTC, datetime
from typing import Final

from cryptography import x509

from kubekit.certificates import UNREADABLE
from wasmlet.doctor.findings import Finding, problem, warning, well

OLD_SHARE: Final = 0.9
"""Those that are renewed by themselves are so before this share of their lifetime."""


def certificate_finding(about: str, pem: str, advice: str, now: datetime | None = None) -> Finding:
    """Return how long this certificate holds yet."""
    now = now or datetime.now(UTC)
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except UNREADABLE as error:
        return problem(about, f"its certificate cannot be read: {error}", advice)
    if now >= end:
        return problem(about, f"its certificate ended on {end:%Y-%m-%d}", advice)
    if now < begin:
        return problem(about, f"its certificate begins on {begin:%Y-%m-%d %H:%M}", "set the clocks")
    if now > begin + OLD_SHARE * (end - begin):
        return warning(about, f"its certificate ends on {end:%Y-%m-%d %H:%M}", advice)
    return well(about, f"its certificate holds until {end:%Y-%m-%d}")
