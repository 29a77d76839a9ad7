"""`python -m node_registrar`: settings from `WASMLET_*`, logs on stdout, until SIGTERM."""

from node_registrar.app.running import serve
from node_registrar.settings import RegistrarSettings
from servicekit.running import run_service

if __name__ == "__main__":
    run_service("node-registrar", RegistrarSettings, serve)
