"""A nats-server process with a user per service, for `wasmlet up` and for tests."""

from embedded_nats.config import Cluster, server_config, write_passwords
from embedded_nats.server import EmbeddedNats, NatsServerError

__all__ = ["Cluster", "EmbeddedNats", "NatsServerError", "server_config", "write_passwords"]
