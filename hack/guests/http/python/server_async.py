"""An answer to a request, for WASI 0.3."""

import componentize_py_async_support
import wit_world
from componentize_py_async_support.streams import ByteStreamWriter
from componentize_py_types import Ok
from wit_world.imports.wasi_http_types import Fields, Request, Response


async def read(request: Request, most: int) -> bytes | None:
    """Reads the body. It is None if it has more bytes than that."""
    content = b""
    _, result = wit_world.result_unit_wasi_http_types_error_code_future(lambda: Ok(None))
    stream, _ = Request.consume_body(request, result)
    with stream:
        while len(content) <= most and not stream.writer_dropped:
            content += await stream.read(16384)
    return content if len(content) <= most else None


def answer(status: int, headers: dict[str, str], content: bytes) -> Response:
    """The answer. Its content is written after it is returned."""
    fields = Fields.from_list([(name, value.encode()) for name, value in headers.items()])
    writer, reader = wit_world.byte_stream()
    _, trailers = wit_world.result_option_wasi_http_types_fields_wasi_http_types_error_code_future(lambda: Ok(None))
    response, _ = Response.new(fields, reader, trailers)
    response.set_status_code(status)
    componentize_py_async_support.spawn(write(writer, content))
    return response


async def write(writer: ByteStreamWriter, content: bytes) -> None:
    with writer:
        await writer.write_all(content)
