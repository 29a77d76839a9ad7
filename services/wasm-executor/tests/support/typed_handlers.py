"""HTTP handlers whose imports have types of their own, or WASI's."""

HANDLER = """
(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $io-error))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    POLL))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $io-error (type $io-error))
    (export "input-stream" (type $input (sub resource)))
    (export "output-stream" (type $output (sub resource)))
    (type $failure (variant (case "last-operation-failed" (own $io-error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    STREAMS))
  (import "wasi:http/types@0.2.3" (instance $http
    (export "incoming-request" (type $request (sub resource)))
    (export "response-outparam" (type $outparam (sub resource)))
    HTTP))
  (alias export $http "incoming-request" (type $request))
  (alias export $http "response-outparam" (type $outparam))
  (core module $code (func (export "handle") (param i32 i32)))
  (core instance $instance (instantiate $code))
  (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
    (canon lift (core func $instance "handle")))
  (component $names
    (import "request-t" (type $request (sub resource)))
    (import "outparam-t" (type $outparam (sub resource)))
    (import "handle" (func $handle
      (param "request" (own $request)) (param "response-out" (own $outparam))))
    (export $own-request "incoming-request" (type $request))
    (export $own-outparam "response-outparam" (type $outparam))
    (export "handle" (func $handle)
      (func (param "request" (own $own-request)) (param "response-out" (own $own-outparam)))))
  (instance $handler (instantiate $names
    (with "request-t" (type $request)) (with "outparam-t" (type $outparam))
    (with "handle" (func $handle))))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))
"""
SELF = '(param "self" (borrow $output))'
WRITE = (
    '(export "[method]output-stream.write" (func {} {} (result (result (error $stream-error)))))'
)
OTHERS = {
    "a number for a handle": (
        "HTTP",
        '(export "[static]response-outparam.set" (func (param "a" u64) (param "b" u64)))',
        "wasi:http/types@0.2.3#[static]response-outparam.set",
    ),
    "numbers for handles in a list": (
        "POLL",
        '(export "poll" (func (param "in" (list u64)) (result (list u32))))',
        "wasi:io/poll@0.2.0#poll",
    ),
    "a text for bytes": ("STREAMS", WRITE.format(SELF, '(param "contents" string)'), "write"),
    "one parameter less": ("STREAMS", WRITE.format(SELF, ""), "write"),
    "no room for a result": (
        "POLL",
        '(export "poll" (func (param "in" (list (borrow $pollable)))))',
        "wasi:io/poll@0.2.0#poll",
    ),
}
WASIS = ("STREAMS", WRITE.format(SELF, '(param "contents" (list u8))'))


def handler(place: str, text: str) -> str:
    own = HANDLER.replace(place, text)
    for other in ("POLL", "STREAMS", "HTTP"):
        own = own.replace(other, "")
    return own
