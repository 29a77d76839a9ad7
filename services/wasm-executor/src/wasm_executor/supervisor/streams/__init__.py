"""Byte streams of clients: exec, attach and port-forward, from the bus to pipes and sockets."""
