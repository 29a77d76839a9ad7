"""Paths and methods of the kubelet API to the functions that answer them.

Starlette's router, with two things of its own: what stands for `{rest:path}` is an argument, and a
route that is there for GET answers no HEAD, as a kubelet's.
"""

from collections.abc import Awaitable, Callable, Iterable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

type Handler = Callable[..., Awaitable[Response]]
"""Takes the request, and a keyword argument for each parameter of its path."""


class KubeletApi(Starlette):
    """An application to which each module adds its routes."""

    def __init__(self) -> None:
        super().__init__()
        self.router.redirect_slashes = False

    def serve(self, path: str, methods: Iterable[str], handler: Handler) -> None:
        """Answer these methods of a path."""

        async def answer(request: Request) -> Response:
            return await handler(request, **request.path_params)

        route = Route(path, answer, methods=list(methods))
        route.methods = set(methods)
        self.router.routes.append(route)

    def serves[H: Handler](self, path: str, *methods: str) -> Callable[[H], H]:
        """Decorate the function that answers these methods of a path."""

        def added(handler: H) -> H:
            self.serve(path, methods, handler)
            return handler

        return added
