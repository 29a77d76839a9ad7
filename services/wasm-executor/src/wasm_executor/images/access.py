"""Who may use a private image that is on disk: only pods whose own credentials were good for it.

What the kubelet does (KEP-2535). Beside each image that a pull brought is written down from which
repositories it came, and whether everybody got it there or the holders of which Secrets. Of a
Secret is kept which one it is and a keyed hash of what it held, never what it held. A pod whose
Secret is known, by itself or by its content, uses the image; another has to ask the registry.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec
import structlog

from contract.messages.pull import PullKey
from wasm_executor.images.keyring import Keyring
from wasm_executor.images.reference import ImageReference
from wasm_executor.images.store import ContentStore
from wasm_executor.settings import VerificationPolicy

log = structlog.get_logger(__name__)

_MOST: Final = 100
"""Secrets that are written down beside one image; the kubelet's bound."""
_KEY_BYTES: Final = 32


class KnownSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A Secret that once opened an image."""

    namespace: str
    name: str
    uid: str
    hash: str

    @property
    def object(self) -> tuple[str, str, str]:
        return self.namespace, self.name, self.uid


class Access(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who got an image from one repository."""

    everybody: bool = False
    secrets: tuple[KnownSecret, ...] = ()

    def knows(self, asked: KnownSecret) -> bool:
        return any(asked.hash == each.hash or asked.object == each.object for each in self.secrets)

    def with_secret(self, known: KnownSecret) -> "Access":
        if self.everybody or known in self.secrets:
            return self
        others = [each for each in self.secrets if each.object != known.object]
        return Access(secrets=(*others, known)[-_MOST:])


class AccessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is on disk for one image: who got it, by the repository that it came from."""

    manifest_digest: str
    repositories: dict[str, Access] = {}


class _Preloaded(msgspec.Struct, frozen=True, kw_only=True):
    """The images that were there before the first record was: nobody pulled them for a pod."""

    manifest_digests: frozenset[str]


class Accesses:
    """The records of one store, in memory and on disk."""

    def __init__(
        self, store: ContentStore, policy: VerificationPolicy, allow_list: Collection[str] = ()
    ) -> None:
        self._store = store
        self._policy = policy
        self._allow_list = allow_list
        self._folder = store.root / "access"
        self._records: dict[str, AccessRecord] = {}
        self._preloaded: frozenset[str] = frozenset()
        self._hash_key = b""
        self._writing = asyncio.Lock()

    def load(self, present: Collection[str]) -> None:
        """Read what is known of the images that are present; the rest is dropped. Blocks."""
        self._hash_key = self._read_hash_key()
        known = _read(self._folder / "preloaded.json", _Preloaded)
        if known is None:
            known = _Preloaded(manifest_digests=frozenset(present))
            self._write("preloaded", known)
        self._preloaded = known.manifest_digests
        for path in self._folder.glob("sha*.json"):
            record = _read(path, AccessRecord)
            if record is None or record.manifest_digest not in present:
                path.unlink(missing_ok=True)
            else:
                self._records[record.manifest_digest] = record

    async def allows(self, digest: str, reference: ImageReference, keyring: Keyring) -> bool:
        """Whether a pod may use an image that is present without asking the registry.

        Raises `ImagePullError` where that depends on Secrets that cannot be read.
        """
        if not self._must_verify(digest, reference):
            return True
        access = self._of(digest, reference)
        if access.everybody or not access.secrets:
            return access.everybody
        for key in keyring.keys_for(reference):
            asked = self._known(keyring.namespace, key)
            if access.knows(asked):
                await self._keep(digest, reference, access.with_secret(asked))
                return True
        return False

    async def note_pull(
        self, digest: str, reference: ImageReference, namespace: str, key: PullKey | None
    ) -> None:
        """Write down with what a pull succeeded; without a key, everybody may have the image."""
        access = Access(everybody=True)
        if key is not None:
            known = self._known(namespace, key)
            access = self._of(digest, reference).with_secret(known)
        await self._keep(digest, reference, access)

    def _must_verify(self, digest: str, reference: ImageReference) -> bool:
        match self._policy:
            case VerificationPolicy.NEVER_VERIFY:
                return False
            case VerificationPolicy.NEVER_VERIFY_PRELOADED:
                return digest not in self._preloaded or digest in self._records
            case VerificationPolicy.NEVER_VERIFY_ALLOWLISTED:
                return not any(_is_listed(reference.name, each) for each in self._allow_list)
            case VerificationPolicy.ALWAYS_VERIFY:
                return True

    def _of(self, digest: str, reference: ImageReference) -> Access:
        record = self._records.get(digest)
        return Access() if record is None else record.repositories.get(reference.name, Access())

    def _known(self, namespace: str, key: PullKey) -> KnownSecret:
        content = msgspec.json.encode((key.username, key.password, key.identity_token))
        hashed = hashlib.blake2b(content, key=self._hash_key, digest_size=32)
        return KnownSecret(
            namespace=namespace, name=key.secret_name, uid=key.secret_uid, hash=hashed.hexdigest()
        )

    async def _keep(self, digest: str, reference: ImageReference, access: Access) -> None:
        """A record that cannot be written costs another look at the registry, later."""
        record = self._records.get(digest) or AccessRecord(manifest_digest=digest)
        if record.repositories.get(reference.name) == access:
            return
        repositories = {**record.repositories, reference.name: access}
        kept = AccessRecord(manifest_digest=digest, repositories=repositories)
        self._records[digest] = kept
        async with self._writing:
            try:
                await asyncio.to_thread(self._write, digest.replace(":", "-"), kept)
            except OSError as error:
                log.warning("image_access.not_written", image=str(reference), reason=str(error))

    def _read_hash_key(self) -> bytes:
        path = self._folder / "hash.key"
        try:
            return path.read_bytes()[:_KEY_BYTES]
        except FileNotFoundError:
            made = secrets.token_bytes(_KEY_BYTES)
            with self._store.writing(path) as file:
                file.write(made)
            return made

    def _write(self, name: str, record: msgspec.Struct) -> None:
        with self._store.writing(self._folder / f"{name}.json") as file:
            file.write(msgspec.json.encode(record))


def _read[Record: msgspec.Struct](path: Path, kind: type[Record]) -> Record | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _is_listed(repository: str, pattern: str) -> bool:
    if pattern.endswith("/*"):
        return repository.startswith(pattern.removesuffix("*"))
    return repository == pattern
