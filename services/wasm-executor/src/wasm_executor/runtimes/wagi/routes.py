"""Which of a module's functions a request's path is for, as WAGI has it.

A route is a path, or a path with `/...` behind it that also means all below. Of several that match
the last one counts. A module that exports `_routes` adds its own: lines of a path and a function,
below each path that it was given.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from wasm_executor.container.plan import Route

BELOW: Final = "/..."
EVERYTHING: Final = Route(route=BELOW)
MOST_ROUTES: Final = 1024


class RoutesError(Exception):
    """What a module said of its routes cannot be understood."""


class Match(NamedTuple):
    """A request's path, parted."""

    route: Route
    script_name: str
    path_info: str


def parted(route: Route, path: str) -> Match | None:
    """Return how the path is parted if the route is for it."""
    prefix = route.route.removesuffix(BELOW)
    if path != prefix and not (prefix != route.route and path.startswith(prefix + "/")):
        return None
    return Match(route, prefix, path[len(prefix) :])


def found(routes: Iterable[Route], path: str) -> Match | None:
    """Return the last one that is for the path."""
    matches = (parted(each, path) for each in reversed(tuple(routes)))
    return next((each for each in matches if each is not None), None)


def with_own(route: Route, text: str) -> tuple[Route, ...]:
    """Return a route and what the module's `_routes` adds below it."""
    prefix = route.route.removesuffix(BELOW).rstrip("/")
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_ROUTES:
        raise RoutesError(f"`_routes` names more than {MOST_ROUTES} routes")
    added = []
    for words in lines:
        match words:
            case [path, function]:
                whole = f"{prefix}/{path.lstrip('/')}"
                added.append(Route(route=whole, entrypoint=function, argv=route.argv))
            case _:
                raise RoutesError(f"`_routes` says {' '.join(words)[:200]!r}, want: PATH FUNCTION")
    return (route, *added)
