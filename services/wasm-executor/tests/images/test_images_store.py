"""The content store: what a crash leaves, and what counts as present afterwards."""

import json
import os
from pathlib import Path

import pytest

from wasm_executor.images.index import ImageIndex
from wasm_executor.images.layers.manifest import digest_of
from wasm_executor.images.records import (
    ArtifactFacts,
    ArtifactKind,
    CompiledObject,
    ImageRecord,
    NameRecord,
    World,
)
from wasm_executor.images.reference import parse_reference
from wasm_executor.images.store import ContentStore

CONTENT = b"layer"
LAYER = digest_of(CONTENT)
MANIFEST = "sha256:" + "c" * 64
ENGINE = "engine-1"
IMAGE = ImageRecord(
    manifest_digest=MANIFEST,
    layer_digest=LAYER,
    layer_bytes=len(CONTENT),
    media_type="application/wasm",
)


def compiled(code: bytes) -> CompiledObject:
    facts = ArtifactFacts(
        kind=ArtifactKind.MODULE,
        world=World.COMMAND,
        wasm_bytes=len(CONTENT),
        object_bytes=len(code),
        compile_s=0.1,
    )
    return CompiledObject(digest=LAYER, engine=ENGINE, facts=facts)


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    made = ContentStore(tmp_path / "images")
    made.prepare()
    return made


def fill(store: ContentStore) -> None:
    store.write_blob(LAYER, CONTENT)
    store.write_image(IMAGE)
    store.write_name(NameRecord(name="h.io/a:1", manifest_digest=MANIFEST, resolved_at=1.0))


def loaded(store: ContentStore) -> ImageIndex:
    index = ImageIndex(store, ENGINE)
    index.load()
    return index


def test_an_image_is_found_again_after_a_restart(store: ContentStore) -> None:
    fill(store)
    assert loaded(store).find(parse_reference("h.io/a:1")) == IMAGE
    assert loaded(store).find(parse_reference("h.io/a:2")) is None


def test_an_image_without_its_content_is_absent(store: ContentStore) -> None:
    fill(store)
    store.remove_blob(LAYER)
    assert loaded(store).find(parse_reference("h.io/a:1")) is None


def test_what_an_earlier_version_compiled_is_found_and_vouched_for_by_nobody(
    store: ContentStore,
) -> None:
    made = compiled(b"code")
    store.write_object(made, b"code")
    path = store.object_path(LAYER, ENGINE).with_suffix(".json")
    record = json.loads(path.read_bytes())
    del record["facts"]["host_types"]
    path.write_text(json.dumps(record))
    found = loaded(store).find_object(LAYER)
    assert found == made
    assert found.facts.host_types == ""


def test_compiled_code_is_enough_for_an_image_to_be_present(store: ContentStore) -> None:
    fill(store)
    store.write_object(compiled(b"code"), b"code")
    store.remove_blob(LAYER)
    assert loaded(store).find(parse_reference("h.io/a:1")) == IMAGE


def test_an_interrupted_write_leaves_no_name_and_no_partial_file(store: ContentStore) -> None:
    def interrupted() -> None:
        with store.writing(store.blob_path(LAYER)) as file:
            file.write(CONTENT[:2])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not store.blob_path(LAYER).exists()
    assert list((store.root / "partial").iterdir()) == []


def test_what_a_killed_writer_left_is_removed_at_the_next_start(store: ContentStore) -> None:
    left = store.root / "partial" / "4711-abc"
    left.write_bytes(b"half")
    fill(store)
    store.prepare()
    assert not left.exists()
    assert store.has_blob(LAYER, len(CONTENT))


def test_only_the_partial_files_of_that_job_are_removed(store: ContentStore) -> None:
    ended = store.root / "partial" / "4711-abc"
    running = store.root / "partial" / "47110-abc"
    ended.touch()
    running.touch()
    store.remove_taken(store.take_partials_of(4711))
    assert not ended.exists()
    assert running.exists()


def test_a_torn_record_counts_as_absent(store: ContentStore) -> None:
    fill(store)
    (record,) = (store.root / "images").iterdir()
    record.write_bytes(record.read_bytes()[:10])
    assert loaded(store).find(parse_reference("h.io/a:1")) is None


def test_a_shortened_object_is_compiled_again(store: ContentStore) -> None:
    store.write_object(compiled(b"code"), b"code")
    assert loaded(store).find_object(LAYER) is not None
    os.truncate(store.object_path(LAYER, ENGINE), 2)
    assert loaded(store).find_object(LAYER) is None


def test_an_object_of_another_engine_is_not_used(store: ContentStore) -> None:
    store.write_object(compiled(b"code"), b"code")
    other = ImageIndex(store, "engine-2")
    other.load()
    assert other.find_object(LAYER) is None


def test_two_images_with_one_layer_stay_apart(store: ContentStore) -> None:
    fill(store)
    other = ImageRecord(
        manifest_digest="sha256:" + "d" * 64,
        layer_digest=LAYER,
        layer_bytes=len(CONTENT),
        media_type="application/wasm",
    )
    store.write_image(other)
    store.write_name(
        NameRecord(name="h.io/b:1", manifest_digest=other.manifest_digest, resolved_at=1.0)
    )
    index = loaded(store)
    assert index.find(parse_reference("h.io/a:1")) == IMAGE
    assert index.find(parse_reference("h.io/b:1")) == other


def test_the_folders_are_the_owners_alone(store: ContentStore) -> None:
    fill(store)
    store.write_object(compiled(b"code"), b"code")
    folders = [store.root, *(path for path in store.root.rglob("*") if path.is_dir())]
    assert {folder.stat().st_mode & 0o077 for folder in folders} == {0}
