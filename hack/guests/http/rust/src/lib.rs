//! The handlers of ../README.md: `hello` or `numbers`, for WASI 0.2 or 0.3, as the features say.

#[cfg(feature = "wasi2")]
mod wasi2;
#[cfg(feature = "wasi3")]
mod wasi3;

/// A request, as far as the programs look at it.
pub struct Request {
    pub method: Method,
    pub target: String, // path with query
    pub body: Option<Vec<u8>>, // of a POST; None if it is too long
}

#[derive(PartialEq)]
pub enum Method {
    Get,
    Post,
    Other,
}

pub struct Answer {
    pub status: u16,
    pub fields: Vec<(&'static str, &'static str)>,
    pub body: Vec<u8>,
}

/// The most bytes of a body.
pub const MOST: usize = 1 << 20;

#[cfg(feature = "hello")]
pub fn answer(_: Request) -> Answer {
    Answer { status: 200, fields: vec![("content-type", "text/plain")], body: b"hello\n".to_vec() }
}

#[cfg(feature = "numbers")]
mod numbers;
#[cfg(feature = "numbers")]
pub use numbers::answer;
