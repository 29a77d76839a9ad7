"""Probes and httpGet hooks: how a node asks a container how it is."""
