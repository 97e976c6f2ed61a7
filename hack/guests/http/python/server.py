"""An answer to a request, for WASI 0.2."""

from componentize_py_types import Err, Ok
from wit_world.imports.streams import StreamError_Closed
from wit_world.imports.types import Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam

WRITE = 4096  # bytes that blocking_write_and_flush takes at once


def read(request: IncomingRequest, most: int) -> bytes | None:
    """Reads the body. It is None if it has more bytes than that."""
    content = b""
    body = request.consume()
    with body.stream() as stream:
        try:
            while len(content) <= most:
                content += stream.blocking_read(16384)
        except Err as e:
            if not isinstance(e.value, StreamError_Closed):
                raise
    IncomingBody.finish(body)
    return content if len(content) <= most else None


def answer(out: ResponseOutparam, status: int, headers: dict[str, str], content: bytes) -> None:
    response = OutgoingResponse(Fields.from_list([(name, value.encode()) for name, value in headers.items()]))
    response.set_status_code(status)
    body = response.body()
    ResponseOutparam.set(out, Ok(response))
    with body.write() as stream:
        for at in range(0, len(content), WRITE):
            stream.blocking_write_and_flush(content[at : at + WRITE])
    OutgoingBody.finish(body, None)
