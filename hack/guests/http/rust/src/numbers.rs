//! The API of ../README.md: it says what count, sum and mean some numbers have.

use crate::{Answer, Method, Request};
use serde_json::{json, Value};

pub fn answer(request: Request) -> Answer {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    if path != "/numbers" {
        return text(404, json!({"error": "there is only /numbers"}));
    }
    match request.method {
        Method::Get => describe(by_query(query)),
        Method::Post => describe(by_body(&request.body.unwrap_or_default())),
        Method::Other => {
            let mut answer = text(405, json!({"error": "use GET or POST"}));
            answer.fields.push(("allow", "GET, POST"));
            answer
        }
    }
}

fn by_query(query: &str) -> Option<Vec<f64>> {
    query.split('&').filter_map(|pair| pair.strip_prefix("n=")).map(|n| n.parse().ok()).collect()
}

fn by_body(body: &[u8]) -> Option<Vec<f64>> {
    serde_json::from_slice::<Value>(body).ok()?.as_array()?.iter().map(Value::as_f64).collect()
}

fn describe(numbers: Option<Vec<f64>>) -> Answer {
    match numbers {
        Some(numbers) if !numbers.is_empty() && numbers.iter().all(|n| n.is_finite()) => {
            let sum: f64 = numbers.iter().sum();
            let count = numbers.len();
            text(200, json!({"count": count, "sum": sum, "mean": sum / count as f64}))
        }
        _ => text(400, json!({"error": "give one number or more"})),
    }
}

fn text(status: u16, value: Value) -> Answer {
    let body = format!("{value}\n").into_bytes();
    Answer { status, fields: vec![("content-type", "application/json")], body }
}
