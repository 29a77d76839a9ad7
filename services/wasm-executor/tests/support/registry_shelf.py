"""A place in a real registry for the images that a test makes."""

import httpx
from layers import Image, digest


class Shelf:
    """Puts images into the registry, each under a name of its own."""

    def __init__(self, host: str, name: str) -> None:
        self.name = f"{host}/{name}"
        self._base = f"http://{host}/v2/{name}"

    def put(self, made: Image, tag: str = "v1") -> str:
        for content in made.blobs.values():
            self.blob(content)
        return self.manifest(made.manifest, made.media_type, tag)

    def blob(self, content: bytes) -> None:
        begun = httpx.post(f"{self._base}/blobs/uploads/").raise_for_status()
        place = httpx.URL(begun.headers["Location"])
        place = place.copy_merge_params({"digest": digest(content)})
        httpx.put(place, content=content).raise_for_status()

    def manifest(self, content: bytes, media_type: str, tag: str) -> str:
        url, headers = f"{self._base}/manifests/{tag}", {"Content-Type": media_type}
        httpx.put(url, content=content, headers=headers).raise_for_status()
        return f"{self.name}:{tag}"
