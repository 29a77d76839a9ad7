;; A handler of HTTP requests whose path's first letter says what it does:
;;   /hello   answers `hello`              /echo    sends the body back as it comes
;;   /trap    traps, nothing was said      /late    says half of an answer, then traps
;;   /loop    computes for ever            /sleep   waits for 0.3 s, then answers `hello`
;;   /nothing returns without an answer    /count   answers how many requests this instance had,
;;                                                  by its globals and by its memory
;;   /fail    answers with an error-code   /write   writes a line to stderr and answers `hello`
;;   /read/PATH sends the file of that path below its first folder, or fails
;;   /ask/HOST:PORT asks that server for /hello and sends on what it answers, or why it does not;
;;   /Ask/HOST:PORT asks it over TLS
;;   /pipe    does so without seeing it
;;   /double answers, then answers again   /quiet   answers without a body
;; Of the body's trailers /echo sends back what it gets.
(component
  (import "wasi:io/error@0.2.0" (instance $error
    (export "error" (type (sub resource)))))
  (alias export $error "error" (type $io-error))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
    (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $io-error (type $io-error))
    (export "input-stream" (type $input (sub resource)))
    (export "output-stream" (type $output (sub resource)))
    (type $failure (variant (case "last-operation-failed" (own $io-error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]input-stream.blocking-read"
      (func (param "self" (borrow $input)) (param "len" u64)
        (result (result (list u8) (error $stream-error)))))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8))
        (result (result (error $stream-error)))))
    (export "[method]output-stream.blocking-splice"
      (func (param "self" (borrow $output)) (param "src" (borrow $input)) (param "len" u64)
        (result (result u64 (error $stream-error)))))))
  (alias export $streams "input-stream" (type $input))
  (alias export $streams "output-stream" (type $output))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $output (type $output))
    (export "get-stderr" (func (result (own $output))))))
  (import "wasi:filesystem/types@0.2.0" (instance $files
    (alias outer 1 $input (type $input))
    (export "descriptor" (type $descriptor (sub resource)))
    (type $follow (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $follow)))
    (type $making (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $making)))
    (type $wanted (flags "read" "write" "file-integrity-sync" "data-integrity-sync"
      "requested-write-sync" "mutate-directory"))
    (export "descriptor-flags" (type $descriptor-flags (eq $wanted)))
    (type $codes (enum "access" "no-entry" "not-permitted" "read-only"))
    (export "error-code" (type $error-code (eq $codes)))
    (export "[method]descriptor.open-at"
      (func (param "self" (borrow $descriptor)) (param "path-flags" $path-flags)
        (param "path" string) (param "open-flags" $open-flags) (param "flags" $descriptor-flags)
        (result (result (own $descriptor) (error $error-code)))))
    (export "[method]descriptor.read-via-stream"
      (func (param "self" (borrow $descriptor)) (param "offset" u64)
        (result (result (own $input) (error $error-code)))))))
  (alias export $files "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $folders
    (alias outer 1 $descriptor (type $descriptor))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $pollable))
    (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
  (import "wasi:http/types@0.2.3" (instance $http
    (alias outer 1 $input (type $input))
    (alias outer 1 $output (type $output))
    (alias outer 1 $pollable (type $pollable))
    (export "fields" (type $fields (sub resource)))
    (export "incoming-request" (type $request (sub resource)))
    (export "incoming-body" (type $incoming-body (sub resource)))
    (export "future-trailers" (type $trailers (sub resource)))
    (export "outgoing-response" (type $response (sub resource)))
    (export "outgoing-body" (type $body (sub resource)))
    (export "response-outparam" (type $outparam (sub resource)))
    (export "outgoing-request" (type $outgoing (sub resource)))
    (export "request-options" (type $options (sub resource)))
    (export "incoming-response" (type $answer (sub resource)))
    (export "future-incoming-response" (type $future (sub resource)))
    (type $schemes (variant (case "HTTP") (case "HTTPS") (case "other" string)))
    (export "scheme" (type $scheme (eq $schemes)))
    ;; A part of the real one: the host tells no other case here.
    (type $codes (variant
      (case "configuration-error") (case "internal-error" (option string))
      (case "HTTP-request-denied") (case "destination-IP-prohibited")
      (case "connection-refused") (case "TLS-certificate-error")))
    (export "error-code" (type $error-code (eq $codes)))
    (export "[method]incoming-request.path-with-query"
      (func (param "self" (borrow $request)) (result (option string))))
    (export "[method]incoming-request.consume"
      (func (param "self" (borrow $request)) (result (result (own $incoming-body)))))
    (export "[method]incoming-body.stream"
      (func (param "self" (borrow $incoming-body)) (result (result (own $input)))))
    (export "[static]incoming-body.finish"
      (func (param "this" (own $incoming-body)) (result (own $trailers))))
    (export "[method]future-trailers.subscribe"
      (func (param "self" (borrow $trailers)) (result (own $pollable))))
    (export "[method]future-trailers.get"
      (func (param "self" (borrow $trailers))
        (result (option (result (result (option (own $fields)) (error $error-code)))))))
    (export "[constructor]outgoing-request"
      (func (param "headers" (own $fields)) (result (own $outgoing))))
    (export "[method]outgoing-request.set-scheme"
      (func (param "self" (borrow $outgoing)) (param "scheme" (option $scheme)) (result (result))))
    (export "[method]outgoing-request.set-authority"
      (func (param "self" (borrow $outgoing)) (param "authority" (option string))
        (result (result))))
    (export "[method]outgoing-request.set-path-with-query"
      (func (param "self" (borrow $outgoing)) (param "path-with-query" (option string))
        (result (result))))
    (export "[method]future-incoming-response.subscribe"
      (func (param "self" (borrow $future)) (result (own $pollable))))
    (export "[method]future-incoming-response.get"
      (func (param "self" (borrow $future))
        (result (option (result (result (own $answer) (error $error-code)))))))
    (export "[method]incoming-response.consume"
      (func (param "self" (borrow $answer)) (result (result (own $incoming-body)))))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[constructor]outgoing-response"
      (func (param "headers" (own $fields)) (result (own $response))))
    (export "[method]outgoing-response.body"
      (func (param "self" (borrow $response)) (result (result (own $body)))))
    (export "[method]outgoing-body.write"
      (func (param "self" (borrow $body)) (result (result (own $output)))))
    (export "[static]outgoing-body.finish"
      (func (param "this" (own $body)) (param "trailers" (option (own $fields)))
        (result (result (error $error-code)))))
    (export "[static]response-outparam.set"
      (func (param "param" (own $outparam))
        (param "response" (result (own $response) (error $error-code)))))))
  (alias export $http "incoming-request" (type $request))
  (alias export $http "response-outparam" (type $outparam))
  (alias export $http "fields" (type $fields))
  (alias export $http "incoming-body" (type $incoming-body))
  (alias export $http "future-trailers" (type $trailers))
  (alias export $http "outgoing-response" (type $response))
  (alias export $http "outgoing-body" (type $body))
  (alias export $http "outgoing-request" (type $outgoing))
  (alias export $http "request-options" (type $options))
  (alias export $http "future-incoming-response" (type $future))
  (alias export $http "error-code" (type $error-code))
  (import "wasi:http/outgoing-handler@0.2.3" (instance $asking
    (alias outer 1 $outgoing (type $outgoing))
    (alias outer 1 $options (type $options))
    (alias outer 1 $future (type $future))
    (alias outer 1 $error-code (type $error-code))
    (export "handle"
      (func (param "request" (own $outgoing)) (param "options" (option (own $options)))
        (result (result (own $future) (error $error-code)))))))

  ;; 0: results of calls; 1024: texts; from 4096 on what the host writes, over and over, and what is
  ;; large from 65536 on.
  (core module $room
    (memory (export "memory") 4)
    (data (i32.const 1024) "hello\n")
    (data (i32.const 1040) "a line on stderr\n")
    (data (i32.const 1072) "0\n")
    (data (i32.const 1088) "/hello")
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (if (i32.gt_u (local.get $size) (i32.const 1024)) (then (return (i32.const 65536))))
      (if (i32.gt_u (global.get $next) (i32.const 60000))
        (then (global.set $next (i32.const 4096))))
      (global.get $next)
      (global.set $next (i32.and (i32.const -8)
        (i32.add (global.get $next) (i32.add (local.get $size) (i32.const 8)))))))
  (core instance $room (instantiate $room))
  (alias core export $room "memory" (core memory $memory))
  (alias core export $room "realloc" (core func $realloc))

  (core func $path (canon lower (func $http "[method]incoming-request.path-with-query")
    (memory $memory) (realloc $realloc)))
  (core func $consume (canon lower (func $http "[method]incoming-request.consume")
    (memory $memory)))
  (core func $stream (canon lower (func $http "[method]incoming-body.stream") (memory $memory)))
  (core func $finish-in (canon lower (func $http "[static]incoming-body.finish")))
  (core func $subscribe (canon lower (func $http "[method]future-trailers.subscribe")))
  (core func $get (canon lower (func $http "[method]future-trailers.get")
    (memory $memory) (realloc $realloc)))
  (core func $poll (canon lower (func $poll "poll") (memory $memory) (realloc $realloc)))
  (core func $folders (canon lower (func $folders "get-directories")
    (memory $memory) (realloc $realloc)))
  (core func $open (canon lower (func $files "[method]descriptor.open-at") (memory $memory)))
  (core func $contents (canon lower (func $files "[method]descriptor.read-via-stream")
    (memory $memory)))
  (core func $ask (canon lower (func $http "[constructor]outgoing-request")))
  (core func $set-scheme (canon lower (func $http "[method]outgoing-request.set-scheme")
    (memory $memory)))
  (core func $set-authority (canon lower (func $http "[method]outgoing-request.set-authority")
    (memory $memory)))
  (core func $set-path (canon lower (func $http "[method]outgoing-request.set-path-with-query")
    (memory $memory)))
  (core func $send (canon lower (func $asking "handle") (memory $memory) (realloc $realloc)))
  (core func $when (canon lower (func $http "[method]future-incoming-response.subscribe")))
  (core func $got (canon lower (func $http "[method]future-incoming-response.get")
    (memory $memory) (realloc $realloc)))
  (core func $take (canon lower (func $http "[method]incoming-response.consume")
    (memory $memory)))
  (core func $fields (canon lower (func $http "[constructor]fields")))
  (core func $response (canon lower (func $http "[constructor]outgoing-response")))
  (core func $body (canon lower (func $http "[method]outgoing-response.body") (memory $memory)))
  (core func $write (canon lower (func $http "[method]outgoing-body.write") (memory $memory)))
  (core func $finish (canon lower (func $http "[static]outgoing-body.finish")
    (memory $memory) (realloc $realloc)))
  (core func $set (canon lower (func $http "[static]response-outparam.set") (memory $memory)))
  (core func $read (canon lower (func $streams "[method]input-stream.blocking-read")
    (memory $memory) (realloc $realloc)))
  (core func $say (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory $memory)))
  (core func $splice (canon lower (func $streams "[method]output-stream.blocking-splice")
    (memory $memory)))
  (core func $stderr (canon lower (func $stderr "get-stderr")))
  (core func $after (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop-output (canon resource.drop $output))
  (core func $drop-input (canon resource.drop $input))
  (core func $drop-response (canon resource.drop $response))
  (core func $drop-request (canon resource.drop $request))
  (core func $drop-pollable (canon resource.drop $pollable))
  (core func $drop-trailers (canon resource.drop $trailers))

  (core module $guest
    (import "host" "memory" (memory 1))
    (import "host" "path" (func $path (param i32 i32)))
    (import "host" "consume" (func $consume (param i32 i32)))
    (import "host" "stream" (func $stream (param i32 i32)))
    (import "host" "finish-in" (func $finish-in (param i32) (result i32)))
    (import "host" "subscribe" (func $subscribe (param i32) (result i32)))
    (import "host" "get" (func $get (param i32 i32)))
    (import "host" "poll" (func $poll (param i32 i32 i32)))
    (import "host" "folders" (func $folders (param i32)))
    (import "host" "open" (func $open (param i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "contents" (func $contents (param i32 i64 i32)))
    (import "host" "ask" (func $ask (param i32) (result i32)))
    (import "host" "set-scheme" (func $set-scheme (param i32 i32 i32 i32 i32) (result i32)))
    (import "host" "set-authority" (func $set-authority (param i32 i32 i32 i32) (result i32)))
    (import "host" "set-path" (func $set-path (param i32 i32 i32 i32) (result i32)))
    (import "host" "send" (func $send (param i32 i32 i32 i32)))
    (import "host" "when" (func $when (param i32) (result i32)))
    (import "host" "got" (func $got (param i32 i32)))
    (import "host" "take" (func $take (param i32 i32)))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "response" (func $response (param i32) (result i32)))
    (import "host" "body" (func $body (param i32 i32)))
    (import "host" "write" (func $write (param i32 i32)))
    (import "host" "finish" (func $finish (param i32 i32 i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32 i32)))
    (import "host" "read" (func $read (param i32 i64 i32)))
    (import "host" "say" (func $say (param i32 i32 i32 i32)))
    (import "host" "splice" (func $splice (param i32 i32 i64 i32)))
    (import "host" "stderr" (func $stderr (result i32)))
    (import "host" "after" (func $after (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "drop-output" (func $drop-output (param i32)))
    (import "host" "drop-input" (func $drop-input (param i32)))
    (import "host" "drop-request" (func $drop-request (param i32)))
    (import "host" "drop-pollable" (func $drop-pollable (param i32)))
    (import "host" "drop-trailers" (func $drop-trailers (param i32)))
    (global $count (mut i32) (i32.const 0))
    (global $body-handle (mut i32) (i32.const 0))

    ;; Answer 200 and return the stream of the body.
    (func $begin (param $outparam i32) (result i32) (local $response i32)
      (local.set $response (call $response (call $fields)))
      (call $body (local.get $response) (i32.const 0))
      (global.set $body-handle (i32.load (i32.const 4)))
      (call $set (local.get $outparam) (i32.const 0) (local.get $response)
        (i32.const 0) (i32.const 0) (i32.const 0))
      (call $write (global.get $body-handle) (i32.const 0))
      (i32.load (i32.const 4)))

    (func $end (param $output i32) (param $has-trailers i32) (param $trailers i32)
      (call $drop-output (local.get $output))
      (call $finish (global.get $body-handle)
        (local.get $has-trailers) (local.get $trailers) (i32.const 0)))

    (func $answer (param $outparam i32) (param $text i32) (param $length i32) (local $output i32)
      (local.set $output (call $begin (local.get $outparam)))
      (call $say (local.get $output) (local.get $text) (local.get $length) (i32.const 0))
      (call $end (local.get $output) (i32.const 0) (i32.const 0)))

    (func $pass (param $input i32) (param $output i32)
      (block $done
        (loop $more
          (call $read (local.get $input) (i64.const 65536) (i32.const 0))
          (br_if $done (i32.load8_u (i32.const 0)))
          (call $say (local.get $output) (i32.load (i32.const 4)) (i32.load (i32.const 8))
            (i32.const 16))
          (br_if $done (i32.load8_u (i32.const 16)))
          (br $more)))
      (call $drop-input (local.get $input)))

    (func $fail (param $outparam i32) (param $code i32)
      (call $set (local.get $outparam) (i32.const 1) (local.get $code)
        (i32.const 0) (i32.const 0) (i32.const 0)))

    ;; The path is at $path, where the host's next answer will be: it is copied first.
    (func $read-file (param $path i32) (param $length i32) (param $outparam i32)
      (local $input i32) (local $output i32)
      (memory.copy (i32.const 2048) (local.get $path) (local.get $length))
      (call $folders (i32.const 0))
      (call $open (i32.load (i32.load (i32.const 0))) (i32.const 1)
        (i32.const 2054) (i32.sub (local.get $length) (i32.const 6))
        (i32.const 0) (i32.const 1) (i32.const 0))
      (if (i32.load8_u (i32.const 0))
        (then (call $fail (local.get $outparam) (i32.const 0)) (return)))
      (call $contents (i32.load (i32.const 4)) (i64.const 0) (i32.const 0))
      (local.set $input (i32.load (i32.const 4)))
      (local.set $output (call $begin (local.get $outparam)))
      (call $pass (local.get $input) (local.get $output))
      (call $end (local.get $output) (i32.const 0) (i32.const 0)))

    ;; The path is at $path: the authority is what follows `/ask/`.
    (func $pass-on (param $path i32) (param $length i32) (param $outparam i32)
      (local $request i32) (local $pollable i32) (local $future i32) (local $output i32)
      (local.set $request (call $ask (call $fields)))
      (drop (call $set-scheme (local.get $request) (i32.const 1)
        (i32.eq (i32.load8_u (i32.add (local.get $path) (i32.const 1))) (i32.const 65))
        (i32.const 0) (i32.const 0)))
      (drop (call $set-authority (local.get $request) (i32.const 1)
        (i32.add (local.get $path) (i32.const 5))
        (i32.sub (local.get $length) (i32.const 5))))
      (drop (call $set-path (local.get $request) (i32.const 1) (i32.const 1088) (i32.const 6)))
      (call $send (local.get $request) (i32.const 0) (i32.const 0) (i32.const 0))
      (if (i32.load8_u (i32.const 0))
        (then (call $fail (local.get $outparam) (i32.load8_u (i32.const 4))) (return)))
      (local.set $future (i32.load (i32.const 4)))
      (local.set $pollable (call $when (local.get $future)))
      (call $block (local.get $pollable))
      (call $got (local.get $future) (i32.const 32))
      ;; some(ok(ok(answer)))
      (if (i32.load8_u (i32.const 40))
        (then (call $fail (local.get $outparam) (i32.load8_u (i32.const 44))) (return)))
      (call $take (i32.load (i32.const 44)) (i32.const 0))
      (call $stream (i32.load (i32.const 4)) (i32.const 0))
      (local.set $request (i32.load (i32.const 4)))
      (local.set $output (call $begin (local.get $outparam)))
      (call $pass (local.get $request) (local.get $output))
      (call $end (local.get $output) (i32.const 0) (i32.const 0)))

    (func $echo (param $request i32) (param $outparam i32)
      (local $body i32) (local $input i32) (local $output i32) (local $trailers i32)
      (local $pollable i32)
      (call $consume (local.get $request) (i32.const 0))
      (local.set $body (i32.load (i32.const 4)))
      (call $stream (local.get $body) (i32.const 0))
      (local.set $input (i32.load (i32.const 4)))
      (local.set $output (call $begin (local.get $outparam)))
      (call $pass (local.get $input) (local.get $output))
      (local.set $trailers (call $finish-in (local.get $body)))
      (local.set $pollable (call $subscribe (local.get $trailers)))
      (call $block (local.get $pollable))
      (call $drop-pollable (local.get $pollable))
      ;; some(ok(ok(option(fields)))): each tag is four bytes further
      (call $get (local.get $trailers) (i32.const 32))
      (call $drop-trailers (local.get $trailers))
      (call $end (local.get $output) (i32.load8_u (i32.const 44)) (i32.load (i32.const 48))))

    (func $pipe (param $request i32) (param $outparam i32)
      (local $body i32) (local $input i32) (local $output i32)
      (call $consume (local.get $request) (i32.const 0))
      (local.set $body (i32.load (i32.const 4)))
      (call $stream (local.get $body) (i32.const 0))
      (local.set $input (i32.load (i32.const 4)))
      (local.set $output (call $begin (local.get $outparam)))
      (loop $more
        (call $splice (local.get $output) (local.get $input) (i64.const 65536) (i32.const 0))
        (br_if $more (i32.eqz (i32.load8_u (i32.const 0)))))
      (call $drop-input (local.get $input))
      (call $drop-trailers (call $finish-in (local.get $body)))
      (call $end (local.get $output) (i32.const 0) (i32.const 0)))

    (func (export "handle") (param $request i32) (param $outparam i32) (local $letter i32)
      (local $pollable i32) (local $output i32)
      (global.set $count (i32.add (global.get $count) (i32.const 1)))
      (i32.store (i32.const 1104) (i32.add (i32.load (i32.const 1104)) (i32.const 1)))
      (call $path (local.get $request) (i32.const 0))
      (local.set $letter (i32.load8_u (i32.add (i32.load (i32.const 4)) (i32.const 1))))
      (if (i32.eq (local.get $letter) (i32.const 101))  ;; e
        (then (call $echo (local.get $request) (local.get $outparam))))
      (if (i32.eq (local.get $letter) (i32.const 112))  ;; p
        (then (call $pipe (local.get $request) (local.get $outparam))))
      (if (i32.eq (local.get $letter) (i32.const 104))  ;; h
        (then (call $answer (local.get $outparam) (i32.const 1024) (i32.const 6))))
      (if (i32.eq (local.get $letter) (i32.const 116)) (then unreachable))  ;; t
      (if (i32.eq (local.get $letter) (i32.const 108))  ;; l: /late and /loop
        (then
          (if (i32.eq (i32.load8_u (i32.add (i32.load (i32.const 4)) (i32.const 2)))
                (i32.const 97))
            (then
              (call $say (call $begin (local.get $outparam))
                (i32.const 1024) (i32.const 6) (i32.const 0))
              unreachable)
            (else (loop $for-ever (br $for-ever))))))
      (if (i32.eq (local.get $letter) (i32.const 115))  ;; s
        (then
          (i32.store (i32.const 64) (call $after (i64.const 300000000)))
          (i32.store (i32.const 68) (call $after (i64.const 300000000000)))
          (call $poll (i32.const 64) (i32.const 2) (i32.const 72))
          (call $drop-pollable (i32.load (i32.const 64)))
          (call $drop-pollable (i32.load (i32.const 68)))
          (call $answer (local.get $outparam) (i32.const 1024) (i32.const 6))))
      (if (i32.eq (local.get $letter) (i32.const 99))  ;; c
        (then
          (i32.store8 (i32.const 1072) (i32.add (i32.const 48)
            (i32.or (global.get $count) (i32.load (i32.const 1104)))))
          (call $answer (local.get $outparam) (i32.const 1072) (i32.const 2))))
      (if (i32.eq (local.get $letter) (i32.const 102))  ;; f
        (then (call $fail (local.get $outparam) (i32.const 0))))
      (if (i32.eq (local.get $letter) (i32.const 114))  ;; r
        (then
          (call $read-file (i32.load (i32.const 4)) (i32.load (i32.const 8))
            (local.get $outparam))))
      (if (i32.eq (i32.or (local.get $letter) (i32.const 32)) (i32.const 97))  ;; a or A
        (then
          (call $pass-on (i32.load (i32.const 4)) (i32.load (i32.const 8))
            (local.get $outparam))))
      (if (i32.eq (local.get $letter) (i32.const 100))  ;; d
        (then
          (call $answer (local.get $outparam) (i32.const 1024) (i32.const 6))
          (call $answer (local.get $outparam) (i32.const 1024) (i32.const 6))))
      (if (i32.eq (local.get $letter) (i32.const 113))  ;; q
        (then
          (call $end (call $begin (local.get $outparam)) (i32.const 0) (i32.const 0))))
      (if (i32.eq (local.get $letter) (i32.const 119))  ;; w
        (then
          (local.set $output (call $stderr))
          (call $say (local.get $output) (i32.const 1040) (i32.const 17) (i32.const 0))
          (call $drop-output (local.get $output))
          (call $answer (local.get $outparam) (i32.const 1024) (i32.const 6))))
      (call $drop-request (local.get $request))))

  (core instance $guest (instantiate $guest (with "host" (instance
    (export "memory" (memory $memory))
    (export "path" (func $path))
    (export "consume" (func $consume))
    (export "stream" (func $stream))
    (export "finish-in" (func $finish-in))
    (export "subscribe" (func $subscribe))
    (export "get" (func $get))
    (export "poll" (func $poll))
    (export "folders" (func $folders))
    (export "open" (func $open))
    (export "contents" (func $contents))
    (export "ask" (func $ask))
    (export "set-scheme" (func $set-scheme))
    (export "set-authority" (func $set-authority))
    (export "set-path" (func $set-path))
    (export "send" (func $send))
    (export "when" (func $when))
    (export "got" (func $got))
    (export "take" (func $take))
    (export "fields" (func $fields))
    (export "response" (func $response))
    (export "body" (func $body))
    (export "write" (func $write))
    (export "finish" (func $finish))
    (export "set" (func $set))
    (export "read" (func $read))
    (export "say" (func $say))
    (export "splice" (func $splice))
    (export "stderr" (func $stderr))
    (export "after" (func $after))
    (export "block" (func $block))
    (export "drop-output" (func $drop-output))
    (export "drop-input" (func $drop-input))
    (export "drop-request" (func $drop-request))
    (export "drop-pollable" (func $drop-pollable))
    (export "drop-trailers" (func $drop-trailers))))))

  (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))
    (canon lift (core func $guest "handle")))
  (component $shim
    (import "request" (type $request (sub resource)))
    (import "outparam" (type $outparam (sub resource)))
    (import "handle" (func $handle
      (param "request" (own $request)) (param "response-out" (own $outparam))))
    (export "handle" (func $handle)))
  (instance $handler (instantiate $shim
    (with "request" (type $request))
    (with "outparam" (type $outparam))
    (with "handle" (func $handle))))
  (export "wasi:http/incoming-handler@0.2.3" (instance $handler)))
