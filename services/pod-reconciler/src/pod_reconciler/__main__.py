"""Starts the service with the settings of its environment."""

from pod_reconciler.app import run
from pod_reconciler.settings import Settings
from servicekit.running import run_service

if __name__ == "__main__":
    run_service("pod-reconciler", Settings, run)
