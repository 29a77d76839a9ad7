"""Runtimes: what runs an artifact inside a container process."""
