"""Node objects, Leases and conditions; grants node names to executors."""
