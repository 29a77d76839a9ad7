"""`python -m log_server`: the kubelet HTTPS API."""

from log_server.app import serve
from log_server.settings import LogServerSettings
from servicekit.running import run_service

if __name__ == "__main__":
    run_service("log-server", LogServerSettings, serve)
