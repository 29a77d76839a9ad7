//! An HTTP service for wasmlet: says hello, and sends back what is posted to `/echo`.
//!
//! `cargo build --release --target wasm32-wasip2` makes the component.

use wasi::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasi::io::streams::{OutputStream, StreamError};

struct Service;

wasi::http::proxy::export!(Service);

impl wasi::exports::http::incoming_handler::Guest for Service {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let status = match path.as_str() {
            "/" | "/echo" => 200,
            _ => 404,
        };
        let response = OutgoingResponse::new(Fields::new());
        response.set_status_code(status).expect("a status");
        let body = response.body().expect("the only body");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("the only stream");
        // A client that goes away is no failure of ours.
        let _ = match (path.as_str(), request.method()) {
            ("/", _) => stream.blocking_write_and_flush(b"hello from Rust\n"),
            ("/echo", Method::Post) => echo(&request, &stream),
            _ => Ok(()),
        };
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

fn echo(request: &IncomingRequest, output: &OutputStream) -> Result<(), StreamError> {
    let body = request.consume().expect("the only body");
    let input = body.stream().expect("the only stream");
    // The host moves the bytes itself: they need not come here and go back.
    loop {
        match output.blocking_splice(&input, 64 * 1024) {
            Ok(_) => {}
            Err(StreamError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
