"""Make the account key that signs who is let onto the bus."""

import secrets
import sys
from typing import Final

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contract.nkeys import PREFIX_ACCOUNT, public_text, seed_text

_SEED_BYTES: Final = 32


def issue(namespace: str, name: str) -> int:
    """Print a Secret with a new seed, and what Helm is to be told of it."""
    seed = secrets.token_bytes(_SEED_BYTES)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {"seed": seed_text(PREFIX_ACCOUNT, seed)},
    }
    sys.stdout.write(yaml.safe_dump(secret, sort_keys=False))
    sys.stdout.flush()
    sys.stderr.write(
        f"--set nats.callout.issuer={public_of(seed)} --set nats.callout.existingSecret={name}\n"
    )
    return 0


def public_of(seed: bytes) -> str:
    """Return the public key of a seed, as NATS writes it."""
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return public_text(PREFIX_ACCOUNT, key.public_bytes_raw())
