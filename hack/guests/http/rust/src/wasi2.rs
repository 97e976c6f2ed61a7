//! A handler of WASI 0.2. Modules have versions in their names because the WIT has both releases.

use crate::{answer, Method, Request, MOST};
use exports::wasi::http0_2_12::incoming_handler::Guest;
use wasi::http0_2_12::types::{
    Fields, IncomingBody, IncomingRequest, Method as HttpMethod, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasi::io::streams::StreamError;

wit_bindgen::generate!({ path: env!("WIT"), world: "handler", generate_all });
export!(Handler);

struct Handler;

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let method = match request.method() {
            HttpMethod::Get => Method::Get,
            HttpMethod::Post => Method::Post,
            _ => Method::Other,
        };
        let body = if method == Method::Post { read(&request) } else { None };
        let target = request.path_with_query().unwrap_or_default();
        drop(request);
        let answer = answer(Request { method, target, body });

        let fields = Fields::new();
        for (name, value) in answer.fields {
            fields.append(name, value.as_bytes()).expect("the field is allowed");
        }
        let response = OutgoingResponse::new(fields);
        response.set_status_code(answer.status).expect("the status is one");
        let body = response.body().expect("the body is taken once");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("the stream is taken once");
        // An error means that the client is gone.
        let sent = answer.body.chunks(4096).all(|part| stream.blocking_write_and_flush(part).is_ok());
        drop(stream);
        if sent {
            let _ = OutgoingBody::finish(body, None);
        }
    }
}

/// Reads the body. It is None if it is too long or broken.
fn read(request: &IncomingRequest) -> Option<Vec<u8>> {
    let body = request.consume().ok()?;
    let stream = body.stream().ok()?;
    let mut content = Vec::new();
    let whole = loop {
        match stream.blocking_read(1 << 16) {
            Ok(part) => content.extend(part),
            Err(StreamError::Closed) => break true,
            Err(_) => break false,
        }
        if content.len() > MOST {
            break false;
        }
    };
    drop(stream);
    drop(IncomingBody::finish(body));
    whole.then_some(content)
}
