"""An image whose component handles HTTP requests."""

from pathlib import Path

import pytest
import wasmtime
from e2e.images import Images

ROOT = Path(__file__).parents[3]
HANDLER = ROOT / "services/wasm-executor/tests/support/guests/http.wat"


@pytest.fixture(scope="session")
def handler_image(images: Images) -> str:
    """`/hello`, `/trap`, `/write`: see the file."""
    return images.push(bytes(wasmtime.wat2wasm(HANDLER.read_text())), "handler")
