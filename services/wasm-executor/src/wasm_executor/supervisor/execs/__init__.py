"""Commands in a container's world: which program they name, and their processes."""
