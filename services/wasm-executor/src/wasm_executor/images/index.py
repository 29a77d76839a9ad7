"""What is on disk, kept in memory: a start of a present image costs a stat, not a search."""

from wasm_executor.images.records import CompiledObject, ImageRecord, NameRecord
from wasm_executor.images.reference import ImageReference
from wasm_executor.images.store import ContentStore


class ImageIndex:
    """Loaded once from the store, then told of every change by the one who makes them."""

    def __init__(self, store: ContentStore, engine: str) -> None:
        self.engine = engine
        self._store = store
        self._names: dict[str, NameRecord] = {}
        self._images: dict[tuple[str, bool], ImageRecord] = {}
        self._objects: dict[str, CompiledObject] = {}

    def load(self) -> None:
        """Read the store. Blocks for as long as the disk takes."""
        self._names = {name.name: name for name in self._store.read_names()}
        images = self._store.read_images()
        self._images = {(image.manifest_digest, image.mount): image for image in images}
        objects = self._store.read_objects(self.engine)
        self._objects = {compiled.digest: compiled for compiled in objects}

    def manifests(self) -> frozenset[str]:
        """Return the digests of all images that are known."""
        return frozenset(digest for digest, _ in self._images)

    def find(self, reference: ImageReference, *, mount: bool = False) -> ImageRecord | None:
        """Return the image under this name, if its content is still there."""
        name = self._names.get(str(reference))
        image = self._images.get((name.manifest_digest, mount)) if name else None
        if image is None or not self._is_here(image):
            return None
        return image

    def find_object(self, digest: str) -> CompiledObject | None:
        """Return what was compiled from this content, if the file is still there."""
        compiled = self._objects.get(digest)
        if compiled is None or not self._store.has_object(compiled):
            return None
        return compiled

    def add_image(self, reference: ImageReference, image: ImageRecord, resolved_at: float) -> None:
        self._images[image.manifest_digest, image.mount] = image
        for name in (str(reference), reference.with_digest(image.manifest_digest)):
            self._names[name] = NameRecord(
                name=name, manifest_digest=image.manifest_digest, resolved_at=resolved_at
            )

    def add_object(self, compiled: CompiledObject) -> None:
        self._objects[compiled.digest] = compiled

    def images(self) -> list[ImageRecord]:
        return list(self._images.values())

    def names_of(self, manifest_digest: str) -> list[str]:
        """Return the full names that lead to an image, those with its digest first."""
        names = [
            each.name for each in self._names.values() if each.manifest_digest == manifest_digest
        ]
        return sorted(names, key=lambda name: ("@" not in name, name))

    def forget_image(self, image: ImageRecord) -> list[str]:
        """Drop an image, and return the names that led to nothing else."""
        self._images.pop((image.manifest_digest, image.mount), None)
        if (image.manifest_digest, not image.mount) in self._images:
            return []
        names = self.names_of(image.manifest_digest)
        for name in names:
            del self._names[name]
        return names

    def objects(self) -> list[CompiledObject]:
        return list(self._objects.values())

    def forget_object(self, digest: str) -> CompiledObject | None:
        return self._objects.pop(digest, None)

    def _is_here(self, image: ImageRecord) -> bool:
        if image.rootfs:
            return self._store.is_here(image)
        return self.find_object(image.layer_digest) is not None or self._store.is_here(image)
