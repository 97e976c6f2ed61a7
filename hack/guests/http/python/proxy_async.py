"""Sends each request to where the query says: /?to=http://host/path. It returns the response, or the code of its error."""

from urllib.parse import parse_qs, urlsplit

from componentize_py_types import Err
from server_async import answer, read
from wit_world import exports
from wit_world.imports import client
from wit_world.imports.wasi_http_types import Request, Response, Scheme_Http, Scheme_Https


class Handler(exports.Handler):
    async def handle(self, request: Request) -> Response:
        query = parse_qs(urlsplit(request.get_path_with_query() or "").query)
        to = urlsplit(query["to"][0])
        request.set_scheme(Scheme_Https() if to.scheme == "https" else Scheme_Http())
        request.set_authority(to.netloc)
        request.set_path_with_query(to.path + ("?" + to.query if to.query else ""))
        try:
            return await client.send(request)
        except Err as e:
            return answer(502, {"content-type": "text/plain"}, f"{type(e.value).__name__}\n".encode())
