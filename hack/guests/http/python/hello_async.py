"""As hello.py, for WASI 0.3."""

from server_async import answer
from wit_world import exports
from wit_world.imports.wasi_http_types import Request, Response


class Handler(exports.Handler):
    async def handle(self, request: Request) -> Response:
        return answer(200, {"content-type": "text/plain"}, b"hello\n")
