"""What the developer's environment says: where caches lie, where built programs are."""

import os
from pathlib import Path

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Read once; `assets` is a folder with etcd, kube-apiserver, ... built by somebody else."""

    cache_home: Path
    assets: Path | None


def read_settings() -> Settings:
    # A development tool reads names that are not ours, so servicekit's WASMLET_* reader cannot.
    environment = os.environ  # noqa: TID251
    cache_home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    assets = environment.get("KUBEBUILDER_ASSETS")
    return Settings(cache_home=Path(cache_home), assets=Path(assets) if assets else None)
