"""Makes a pod's volumes as a kubelet does: files of Secrets, tokens, folders."""

import base64
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from e2e.api import Api

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - an emptyDir of medium Memory has to be on tmpfs
OPEN_TO_ALL = 0o777


class Volumes:
    """The volumes of one pod, by name; `remove` takes them away."""

    def __init__(self, api: Api, pod: dict[str, Any], folder: Path) -> None:
        self._api = api
        self._pod = pod
        self._folder = folder
        self._memory: list[Path] = []
        self.paths: dict[str, Path] = {
            each["name"]: self._made(each) for each in pod["spec"].get("volumes", [])
        }

    def remove(self) -> None:
        for folder in (self._folder, *self._memory):
            shutil.rmtree(folder, ignore_errors=True)

    def refresh(self) -> None:
        """Bring what Secrets hold now; a mount of one file of a volume does not see it."""
        for volume in self._pod["spec"].get("volumes", []):
            if "secret" not in volume:
                continue
            name = volume["secret"]["secretName"]
            if self._api.find(f"{self._namespace()}/secrets/{name}") is None:
                continue  # what was brought before stays
            for path, content, mode in self._files(volume):
                file = self.paths[volume["name"]] / path
                if file.read_bytes() != content:
                    partial = file.with_name(f".{path}")
                    partial.write_bytes(content)
                    self._own(partial, mode)
                    partial.replace(file)

    def _made(self, volume: dict[str, Any]) -> Path:
        if "emptyDir" in volume:
            return self._empty(volume)
        folder = self._folder / str(volume["name"])
        folder.mkdir(parents=True)
        for path, content, mode in self._files(volume):
            (folder / path).write_bytes(content)
            self._own(folder / path, mode)
        return folder

    def _empty(self, volume: dict[str, Any]) -> Path:
        folder: Path
        if volume["emptyDir"].get("medium") == "Memory":
            folder = Path(tempfile.mkdtemp(prefix="wasmlet-chart-", dir=SHARED_MEMORY))
            self._memory.append(folder)
        else:
            folder = self._folder / str(volume["name"])
            folder.mkdir(parents=True)
        folder.chmod(OPEN_TO_ALL)
        self._own(folder, OPEN_TO_ALL)
        return folder

    def _own(self, path: Path, mode: int) -> None:
        """The pod's fsGroup owns what a volume holds."""
        path.chmod(mode)
        os.chown(path, 0, self._pod["spec"].get("securityContext", {}).get("fsGroup", 0))

    def _files(self, volume: dict[str, Any]) -> Iterator[tuple[str, bytes, int]]:
        if "secret" in volume:
            source = volume["secret"]
            optional = source.get("optional", False)
            data = self._data("secrets", source["secretName"], optional=optional)
            yield from _items(data, source, source.get("defaultMode", 0o644))
        elif "projected" in volume:
            projected = volume["projected"]
            for source in projected["sources"]:
                yield from self._projected(source, projected.get("defaultMode", 0o644))
        else:
            raise AssertionError(f"this machine has no such volume: {volume}")

    def _projected(self, source: dict[str, Any], mode: int) -> Iterator[tuple[str, bytes, int]]:
        if "serviceAccountToken" in source:
            token = source["serviceAccountToken"]
            yield token["path"], self._token(token).encode(), mode
        elif "configMap" in source:
            named = source["configMap"]
            yield from _items(self._data("configmaps", named["name"]), named, mode)
        elif "downwardAPI" in source:
            for item in source["downwardAPI"]["items"]:
                assert item["fieldRef"]["fieldPath"] == "metadata.namespace"
                yield item["path"], self._pod["metadata"]["namespace"].encode(), mode

    def _data(self, kind: str, name: str, *, optional: bool = False) -> dict[str, bytes]:
        path = f"{self._namespace()}/{kind}/{name}"
        found = self._api.find(path) if optional else self._api.get(path)
        if found is None:
            return {}
        if kind == "configmaps":
            return {key: value.encode() for key, value in found["data"].items()}
        return {key: base64.b64decode(value) for key, value in found["data"].items()}

    def _token(self, source: dict[str, Any]) -> str:
        account = self._pod["spec"]["serviceAccountName"]
        meta = self._pod["metadata"]
        bound = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
        spec: dict[str, Any] = {"boundObjectRef": bound}
        spec["expirationSeconds"] = source["expirationSeconds"]
        if "audience" in source:
            spec["audiences"] = [source["audience"]]
        body = {"spec": spec}
        path = f"{self._namespace()}/serviceaccounts/{account}/token"
        token: str = self._api.create(path, body)["status"]["token"]
        return token

    def _namespace(self) -> str:
        return f"/api/v1/namespaces/{self._pod['metadata']['namespace']}"


def absent(api: Api, pod: dict[str, Any]) -> set[str]:
    """Paths of what its volumes need and is not there: a kubelet waits for it, and so do we."""
    volumes = pod["spec"].get("volumes", [])
    secrets = [each["secret"] for each in volumes if "secret" in each]
    sources = [
        source for each in volumes for source in each.get("projected", {}).get("sources", [])
    ]
    needed = {f"secrets/{of['secretName']}" for of in secrets if not of.get("optional", False)}
    needed |= {f"configmaps/{of['configMap']['name']}" for of in sources if "configMap" in of}
    root = f"/api/v1/namespaces/{pod['metadata']['namespace']}"
    return {path for path in needed if api.find(f"{root}/{path}") is None}


def _items(
    data: dict[str, bytes], source: dict[str, Any], mode: int
) -> Iterator[tuple[str, bytes, int]]:
    chosen = source.get("items") or [{"key": key, "path": key} for key in data]
    for item in chosen:
        yield item["path"], data[item["key"]], item.get("mode", mode)
