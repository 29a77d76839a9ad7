"""What the trace of a pod's start consists of, as docs/operations.md tells it."""

PARENTS = {
    "pod.admit": "pod.start",
    "sources.read": "pod.start",
    "pod.plan": "pod.start",
    "bus.apply": "pod.start",
    "status.write": "pod.start",
    "pod.run": "bus.apply",
    "volumes.make": "pod.run",
    "image.prepare": "pod.run",
    "image.pull": "image.prepare",
    "image.compile": "image.prepare",
    "container.create": "pod.run",
    "container.start": "pod.run",
}
"""Each span but the first, and the one that it is a part of."""
