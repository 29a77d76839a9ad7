"""Kubernetes client set-up, reflector, election, patches and Events."""
