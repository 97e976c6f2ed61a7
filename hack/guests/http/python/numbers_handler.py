"""The API of api.py, for WASI 0.2."""

import api
from server import answer, read
from wit_world import exports
from wit_world.imports.types import IncomingRequest, Method_Get, Method_Post, ResponseOutparam

MOST = 1 << 20  # bytes of a body


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        answer(response_out, *respond(request))


def respond(request: IncomingRequest) -> api.Answer:
    target = request.path_with_query() or "/"
    if target.partition("?")[0] != "/numbers":
        return api.not_found()
    match request.method():
        case Method_Get():
            return api.by_query(target)
        case Method_Post():
            return api.by_body(read(request, MOST))
    return api.not_allowed()
