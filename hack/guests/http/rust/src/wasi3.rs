//! A handler of WASI 0.3. Modules have versions in their names because the WIT has both releases.

use crate::{answer, Method, MOST};
use exports::wasi::http0_3_0::handler::Guest;
use wasi::http0_3_0::types::{ErrorCode, Fields, Method as HttpMethod, Request, Response};
use wit_bindgen::StreamResult;

wit_bindgen::generate!({ path: env!("WIT"), world: "handler-async", generate_all });
export!(Handler);

struct Handler;

impl Guest for Handler {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let method = match request.get_method() {
            HttpMethod::Get => Method::Get,
            HttpMethod::Post => Method::Post,
            _ => Method::Other,
        };
        let target = request.get_path_with_query().unwrap_or_default();
        let body = if method == Method::Post { read(request).await } else { None };
        let answer = answer(crate::Request { method, target, body });

        let fields = Fields::new();
        for (name, value) in answer.fields {
            fields.append(name, value.as_bytes()).expect("the field is allowed");
        }
        let (mut writer, reader) = wit_stream::new();
        let (trailers, no_trailers) = wit_future::new(|| Ok(None));
        drop(trailers);
        let (response, _) = Response::new(fields, Some(reader), no_trailers);
        response.set_status_code(answer.status).expect("the status is one");
        // The body is written after the answer is returned. What is left then had no reader: the client is gone.
        wit_bindgen::spawn_local(async move {
            drop(writer.write_all(answer.body).await);
        });
        Ok(response)
    }
}

/// Reads the body. It is None if it is too long.
async fn read(request: Request) -> Option<Vec<u8>> {
    let (_, result) = wit_future::new(|| Ok(()));
    let (mut body, _) = Request::consume_body(request, result);
    let mut content = Vec::new();
    loop {
        let (status, part) = body.read(Vec::with_capacity(1 << 16)).await;
        content.extend(part);
        if content.len() > MOST {
            return None;
        }
        if !matches!(status, StreamResult::Complete(_)) {
            return Some(content);
        }
    }
}
