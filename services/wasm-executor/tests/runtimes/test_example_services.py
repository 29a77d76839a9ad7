"""The HTTP services of examples/, each built as `make examples` does, and served."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest
from http_rig import serving
from keeper_rig import KeeperProcess

ROOT = Path(__file__).parents[4]
TOOLS = {"go": ("go",), "rust": ("cargo",), "python": ("cargo",), "javascript": ("cargo", "npm")}
"""cargo brings the definitions of WASI to the others."""
NAMES = {"go": "Go", "rust": "Rust", "python": "Python", "javascript": "JavaScript"}
BUILD_TIMEOUT_S = 1200


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("language", TOOLS)
async def test_an_example_serves(keeper: KeeperProcess, tmp_path: Path, language: str) -> None:
    for tool in TOOLS[language]:
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} on this machine")
    component = tmp_path / f"http-{language}.wasm"
    script = ROOT / "examples" / f"http-{language}" / "build"
    await asyncio.to_thread(_build, script, component)
    keeper.compiler.add(component.stem, component.read_bytes())
    runtime = "wagi" if language == "go" else ""  # stock Go makes no component
    async with (
        keeper.supervise() as supervisor,
        serving(supervisor, component.stem, runtime=runtime) as served,
    ):
        assert served.get("/").body == f"hello from {NAMES[language]}\n".encode()
        assert served.get("/nowhere").status == 404
        with served.client() as client:
            client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
            client.send(b"e" * 100_000)
            assert client.answer().body == b"e" * 100_000


def _build(script: Path, component: Path) -> None:
    command = ["sh", str(script), str(component)]
    built = subprocess.run(command, capture_output=True, timeout=BUILD_TIMEOUT_S, check=False)
    if built.returncode and b"wasm32-wasip2" in built.stderr:
        pytest.skip("the toolchain has no target wasm32-wasip2")
    assert built.returncode == 0, built.stderr.decode()
