"""Which port is whose."""


def port_of(first: int, position: int) -> int:
    """Return the port of the node at a position: the first one's, then upwards; 0 stays free."""
    return first + position if first else 0
