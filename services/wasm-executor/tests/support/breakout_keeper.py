"""An executor that is ordinary, but for its zygote: see `breakout_zygote`."""

import sys
from pathlib import Path
from unittest.mock import patch

from wasm_executor.__main__ import main
from wasm_executor.keeper import app

if __name__ == "__main__":
    zygote = (sys.executable, str(Path(__file__).with_name("breakout_zygote.py")))
    with patch.object(app, "ZYGOTE", zygote):
        sys.exit(main())
