"""The API of api.py, for WASI 0.3."""

import api
from server_async import answer, read
from wit_world import exports
from wit_world.imports.wasi_http_types import Method_Get, Method_Post, Request, Response

MOST = 1 << 20  # bytes of a body


class Handler(exports.Handler):
    async def handle(self, request: Request) -> Response:
        return answer(*await respond(request))


async def respond(request: Request) -> api.Answer:
    target = request.get_path_with_query() or "/"
    if target.partition("?")[0] != "/numbers":
        return api.not_found()
    match request.get_method():
        case Method_Get():
            return api.by_query(target)
        case Method_Post():
            return api.by_body(await read(request, MOST))
    return api.not_allowed()
