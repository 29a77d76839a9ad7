"""Requests for certificates as the API server stores them, a stranger's among them."""

import base64
import ipaddress
import ssl
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NODE = "wasm-m.example"
USER = f"system:node:{NODE}"
ADDRESS = "10.0.0.7"
SERVING = "kubernetes.io/kubelet-serving"


def request_of(common_name: str = USER) -> bytes:
    """PKCS #10 in DER, for a serving certificate."""
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
    ]
    names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(ADDRESS))]
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name(attributes))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


def stored(der: bytes, name: str = "csr-1", **spec: Any) -> dict[str, Any]:
    """The object of the API, asked by the node itself unless `spec` says otherwise."""
    pem = ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "7"},
        "spec": {
            "request": base64.b64encode(pem.encode()).decode(),
            "signerName": SERVING,
            "usages": ["digital signature", "server auth"],
            "username": USER,
            "groups": ["system:nodes"],
        }
        | spec,
    }
