"""Who may use an image that is on disk, by the records that pulls leave."""

from pathlib import Path

import msgspec

from contract.messages.pull import PullKey
from wasm_executor.images.access import Accesses
from wasm_executor.images.keyring import NO_KEYS, Keyring
from wasm_executor.images.reference import parse_reference
from wasm_executor.images.store import ContentStore
from wasm_executor.settings import VerificationPolicy

DIGEST = "sha256:" + "1" * 64
OLD = "sha256:" + "2" * 64
IMAGE = parse_reference("r.example/team/app:v1")
ELSEWHERE = parse_reference("r.example/other/app:v1")
PRELOADED = VerificationPolicy.NEVER_VERIFY_PRELOADED


def key(password: str, name: str = "s", uid: str = "u") -> PullKey:
    return PullKey(
        location="r.example", username="me", password=password, secret_name=name, secret_uid=uid
    )


def ring(*keys: PullKey, namespace: str = "a") -> Keyring:
    return Keyring(namespace=namespace, keys=keys)


def opened(
    store: ContentStore,
    policy: VerificationPolicy = PRELOADED,
    allow_list: tuple[str, ...] = (),
    present: tuple[str, ...] = (DIGEST,),
) -> Accesses:
    made = Accesses(store, policy, allow_list)
    made.load(present)
    return made


async def pulled_with(store: ContentStore, used: PullKey | None) -> Accesses:
    opened(store, present=())  # a node that is new
    accesses = opened(store)
    await accesses.note_pull(DIGEST, IMAGE, "a", used)
    return opened(store)  # after a restart


async def test_what_nobody_noted_has_to_be_asked_for(store: ContentStore) -> None:
    opened(store, present=())
    accesses = opened(store)
    assert not await accesses.allows(DIGEST, IMAGE, ring(key("p")))


async def test_what_was_there_before_the_first_record_is_everybodys(store: ContentStore) -> None:
    accesses = opened(store, present=(OLD,))
    assert await accesses.allows(OLD, IMAGE, NO_KEYS)
    assert not await accesses.allows(DIGEST, IMAGE, NO_KEYS)


async def test_what_came_without_credentials_is_everybodys_in_its_repository(
    store: ContentStore,
) -> None:
    accesses = await pulled_with(store, None)
    assert await accesses.allows(DIGEST, IMAGE, NO_KEYS)
    assert not await accesses.allows(DIGEST, ELSEWHERE, NO_KEYS)


async def test_a_known_secret_opens_by_itself_or_by_its_content(store: ContentStore) -> None:
    accesses = await pulled_with(store, key("p"))
    assert await accesses.allows(DIGEST, IMAGE, ring(key("p")))
    assert not await accesses.allows(DIGEST, IMAGE, NO_KEYS)
    assert not await accesses.allows(DIGEST, IMAGE, ring(key("q", uid="x")))
    assert not await accesses.allows(DIGEST, IMAGE, ring(key("q"), namespace="b"))
    copied = ring(key("p", name="copy", uid="x"), namespace="b")
    assert await accesses.allows(DIGEST, IMAGE, copied)
    rotated = ring(key("new"))
    assert await accesses.allows(DIGEST, IMAGE, rotated)
    again = opened(store)
    assert await again.allows(DIGEST, IMAGE, ring(key("new", uid="y")))
    assert await again.allows(DIGEST, IMAGE, copied)
    assert not await again.allows(DIGEST, IMAGE, ring(key("q", uid="z")))


async def test_no_credential_is_on_disk_and_no_plain_hash_of_one(
    store: ContentStore, tmp_path: Path
) -> None:
    await pulled_with(store, key("s3cret-marker"))
    (record,) = (store.root / "access").glob("sha256-*.json")
    assert b"s3cret-marker" not in record.read_bytes()
    other = ContentStore(tmp_path / "other")
    other.prepare()
    await pulled_with(other, key("s3cret-marker"))
    hashes = [
        msgspec.json.decode((each.root / "access" / record.name).read_bytes())
        for each in (store, other)
    ]
    assert hashes[0] != hashes[1], "each node hashes with a key of its own"


async def test_policies_are_the_kubelets(store: ContentStore) -> None:
    await pulled_with(store, key("p"))
    listed = VerificationPolicy.NEVER_VERIFY_ALLOWLISTED
    for policy, allow_list, digest, allowed in (
        (VerificationPolicy.NEVER_VERIFY, (), DIGEST, True),
        (VerificationPolicy.ALWAYS_VERIFY, (), OLD, False),
        (PRELOADED, (), DIGEST, False),
        (listed, ("r.example/team/app",), DIGEST, True),
        (listed, ("r.example/*",), DIGEST, True),
        (listed, ("r.example/te",), DIGEST, False),
        (listed, (), OLD, False),
    ):
        accesses = opened(store, policy, allow_list)
        assert await accesses.allows(digest, IMAGE, NO_KEYS) is allowed, (policy, allow_list)


async def test_records_of_images_that_are_gone_go_too(store: ContentStore) -> None:
    await pulled_with(store, key("p"))
    opened(store, present=())
    assert not list((store.root / "access").glob("sha256-*.json"))
