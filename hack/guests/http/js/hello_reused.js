// As hello.js, with the functions of WASI itself. The engine answers one fetch event only, so an instance with one
// answers one request. An instance of this program can answer many.
import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from "wasi:http/types@0.2.10";

const encoder = new TextEncoder();
const type = encoder.encode("text/plain");
const line = encoder.encode("hello\n");

export const incomingHandler = {
  handle(request, out) {
    const response = new OutgoingResponse(Fields.fromList([["content-type", type]]));
    const body = response.body();
    ResponseOutparam.set(out, { tag: "ok", val: response });
    const stream = body.write();
    stream.blockingWriteAndFlush(line);
    stream[Symbol.dispose]();
    OutgoingBody.finish(body, undefined);
  },
};
