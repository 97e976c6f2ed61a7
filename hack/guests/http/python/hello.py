"""Answers each request with the line `hello`."""

from server import answer
from wit_world import exports
from wit_world.imports.types import IncomingRequest, ResponseOutparam


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        answer(response_out, 200, {"content-type": "text/plain"}, b"hello\n")
