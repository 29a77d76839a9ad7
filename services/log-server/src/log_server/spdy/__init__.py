"""SPDY/3.1, as far as Kubernetes speaks it: frames, streams, no requests."""
