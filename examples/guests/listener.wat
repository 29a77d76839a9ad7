;; A WASI 0.2 command that listens: `listener PORT [GOOD]`.
;;
;; It binds 0.0.0.0:PORT and answers each connection with one HTTP/1.0 response: 200 for the first
;; GOOD of them and 500 from then on; without GOOD it is 200 for ever. `GET /break` makes it answer
;; 500 and `GET /mend` 200, this one included; after `GET /quit` it ends. One who speaks HTTP/2 at
;; once asks for its health, as gRPC's `Health/Check`: SERVING, or NOT_SERVING where HTTP has 500.
;; It prints `listening` once it does; `refused` and exit code 1 say that it may not, as where
;; nothing has turned its network on.
;;
;; First the parts of WASI that it imports, then the guest itself, then how the two are joined.
(component
  (import "wasi:io/error@0.2.0" (instance $error
    (export "error" (type (sub resource)))))
  (alias export $error "error" (type $io-error))
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
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
        (result (result (error $stream-error)))))))
  (alias export $streams "input-stream" (type $input))
  (alias export $streams "output-stream" (type $output))

  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-arguments" (func (result (list string))))))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $output (type $output))
    (export "get-stdout" (func (result (own $output))))))

  (import "wasi:sockets/network@0.2.0" (instance $network
    (export "network" (type (sub resource)))
    (type $codes (enum
      "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
      "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
      "address-not-bindable" "address-in-use" "remote-unreachable" "connection-refused"
      "connection-reset" "connection-aborted" "datagram-too-large" "name-unresolvable"
      "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $codes)))
    (type $families (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $families)))
    (type $ipv4 (tuple u8 u8 u8 u8))
    (type $ipv4-record (record (field "port" u16) (field "address" $ipv4)))
    (export "ipv4-socket-address" (type $ipv4-address (eq $ipv4-record)))
    (type $ipv6 (tuple u16 u16 u16 u16 u16 u16 u16 u16))
    (type $ipv6-record (record
      (field "port" u16) (field "flow-info" u32) (field "address" $ipv6) (field "scope-id" u32)))
    (export "ipv6-socket-address" (type $ipv6-address (eq $ipv6-record)))
    (type $addresses (variant (case "ipv4" $ipv4-address) (case "ipv6" $ipv6-address)))
    (export "ip-socket-address" (type (eq $addresses)))))
  (alias export $network "network" (type $network-handle))
  (alias export $network "error-code" (type $code))
  (alias export $network "ip-address-family" (type $family))
  (alias export $network "ip-socket-address" (type $address))
  (import "wasi:sockets/instance-network@0.2.0" (instance $instance-network
    (alias outer 1 $network-handle (type $network))
    (export "instance-network" (func (result (own $network))))))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp
    (alias outer 1 $network-handle (type $network))
    (alias outer 1 $code (type $code))
    (alias outer 1 $address (type $address))
    (alias outer 1 $input (type $input))
    (alias outer 1 $output (type $output))
    (alias outer 1 $pollable (type $pollable))
    (export "tcp-socket" (type $socket (sub resource)))
    (export "[method]tcp-socket.start-bind"
      (func (param "self" (borrow $socket)) (param "network" (borrow $network))
        (param "local-address" $address) (result (result (error $code)))))
    (export "[method]tcp-socket.finish-bind"
      (func (param "self" (borrow $socket)) (result (result (error $code)))))
    (export "[method]tcp-socket.start-listen"
      (func (param "self" (borrow $socket)) (result (result (error $code)))))
    (export "[method]tcp-socket.finish-listen"
      (func (param "self" (borrow $socket)) (result (result (error $code)))))
    (export "[method]tcp-socket.subscribe"
      (func (param "self" (borrow $socket)) (result (own $pollable))))
    (export "[method]tcp-socket.accept"
      (func (param "self" (borrow $socket))
        (result (result (tuple (own $socket) (own $input) (own $output)) (error $code)))))))
  (alias export $tcp "tcp-socket" (type $socket))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
    (alias outer 1 $socket (type $socket))
    (alias outer 1 $code (type $code))
    (alias outer 1 $family (type $family))
    (export "create-tcp-socket"
      (func (param "address-family" $family)
        (result (result (own $socket) (error $code)))))))

  ;; Memory: 0 a result, 64 texts, 4096 what the host writes for us.
  (core module $room
    (memory (export "memory") 2)
    (global $free (export "free") (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get $size)))
      (local.get $at)))

  (core module $guest
    (import "room" "memory" (memory 1))
    (import "room" "free" (global $free (mut i32)))
    (import "wasi" "arguments" (func $arguments (param i32)))
    (import "wasi" "stdout" (func $stdout (result i32)))
    (import "wasi" "network" (func $network (result i32)))
    (import "wasi" "create" (func $create (param i32 i32)))
    (import "wasi" "start-bind" (func $start_bind
      ;; socket, network, address: ipv4 and its 5 numbers, the 6 that only ipv6 has; result
      (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "wasi" "finish-bind" (func $finish_bind (param i32 i32)))
    (import "wasi" "start-listen" (func $start_listen (param i32 i32)))
    (import "wasi" "finish-listen" (func $finish_listen (param i32 i32)))
    (import "wasi" "subscribe" (func $subscribe (param i32) (result i32)))
    (import "wasi" "block" (func $block (param i32)))
    (import "wasi" "accept" (func $accept (param i32 i32)))
    (import "wasi" "read" (func $read (param i32 i64 i32)))
    (import "wasi" "write" (func $write (param i32 i32 i32 i32)))
    (import "wasi" "drop-socket" (func $drop_socket (param i32)))
    (import "wasi" "drop-input" (func $drop_input (param i32)))
    (import "wasi" "drop-output" (func $drop_output (param i32)))
    (import "wasi" "drop-error" (func $drop_error (param i32)))
    (data (i32.const 64) "listening\nrefused\n")
    (data (i32.const 96) "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
    (data (i32.const 160) "HTTP/1.0 500 Internal Server Error\r\nContent-Length: 7\r\n\r\nbroken\n")
    ;; SETTINGS and an acknowledgement; HEADERS, DATA (its last byte: health), trailers of stream 1.
    (data (i32.const 256) "\00\00\00\04\00\00\00\00\00" "\00\00\00\04\01\00\00\00\00")
    (data (i32.const 288)
      "\00\00\14\01\04\00\00\00\01" "\88\0f\10\10application/grpc"
      "\00\00\07\00\00\00\00\00\01" "\00\00\00\00\02\08\01"
      "\00\00\0f\01\05\00\00\00\01" "\00\0bgrpc-status\010")
    (global $broken (mut i32) (i32.const 0))
    (global $left (mut i32) (i32.const -1)) ;; good answers; below zero there is no end of them

    (func $failed (result i32) (i32.load8_u (i32.const 0)))
    ;; The number in argument N, or -1.
    (func $number (param $n i32) (result i32)
      (local $at i32) (local $end i32) (local $value i32)
      (call $arguments (i32.const 0))
      (if (i32.ge_u (local.get $n) (i32.load (i32.const 4))) (then (return (i32.const -1))))
      (local.set $at (i32.add (i32.load (i32.const 0)) (i32.mul (local.get $n) (i32.const 8))))
      (local.set $end (i32.load offset=4 (local.get $at)))
      (local.set $at (i32.load (local.get $at)))
      (local.set $end (i32.add (local.get $end) (local.get $at)))
      (loop $digit
        (if (i32.lt_u (local.get $at) (local.get $end)) (then
          (local.set $value (i32.add
            (i32.mul (local.get $value) (i32.const 10))
            (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $digit))))
      (local.get $value))
    (func $say (param $at i32) (param $length i32)
      (local $out i32)
      (local.set $out (call $stdout))
      (call $send (local.get $out) (local.get $at) (local.get $length))
      (call $drop_output (local.get $out)))
    (func $send (param $out i32) (param $at i32) (param $length i32)
      (call $write (local.get $out) (local.get $at) (local.get $length) (i32.const 0))
      (if (call $failed) (then (call $forget))))
    ;; A stream may fail with an error, which is ours then.
    (func $forget
      (if (i32.eqz (i32.load8_u (i32.const 4))) (then
        (call $drop_error (i32.load (i32.const 8))))))
    ;; A listening socket, or 0.
    (func $listen (param $port i32) (result i32)
      (local $socket i32)
      (call $create (i32.const 0) (i32.const 0))
      (if (call $failed) (then (return (i32.const 0))))
      (local.set $socket (i32.load (i32.const 4)))
      (call $start_bind (local.get $socket) (call $network) (i32.const 0)
        (local.get $port) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
        (i32.const 0))
      (if (call $failed) (then (return (i32.const 0))))
      (call $finish_bind (local.get $socket) (i32.const 0))
      (if (call $failed) (then (return (i32.const 0))))
      (call $start_listen (local.get $socket) (i32.const 0))
      (if (call $failed) (then (return (i32.const 0))))
      (call $finish_listen (local.get $socket) (i32.const 0))
      (select (i32.const 0) (local.get $socket) (call $failed)))
    ;; How much a client says, or 0; it lies where 4 points to.
    (func $hear (param $in i32) (result i32)
      (call $read (local.get $in) (i64.const 4096) (i32.const 0))
      (if (call $failed) (then (call $forget) (return (i32.const 0))))
      (i32.load (i32.const 8)))
    ;; The letter after `GET /` of what a client says, `P` of HTTP/2's `PRI`, or 0.
    (func $asked (param $in i32) (result i32)
      (if (i32.lt_u (call $hear (local.get $in)) (i32.const 6)) (then (return (i32.const 0))))
      (if (i32.eq (i32.load8_u (i32.load (i32.const 4))) (i32.const 80))
        (then (return (i32.const 80))))
      (i32.load8_u offset=5 (i32.load (i32.const 4))))
    ;; Answers the one call of a client, and stays until it has gone or says more.
    (func $tell_health (param $in i32) (param $out i32)
      (local $length i32)
      (call $send (local.get $out) (i32.const 256) (i32.const 18))
      (loop $more ;; an acknowledgement alone is no call
        (local.set $length (call $hear (local.get $in)))
        (br_if $more (i32.lt_u (i32.sub (local.get $length) (i32.const 1)) (i32.const 9))))
      (if (i32.eqz (local.get $length)) (then (return)))
      (i32.store8 (i32.const 332) (i32.add (global.get $broken) (i32.const 1)))
      (call $send (local.get $out) (i32.const 288) (i32.const 69))
      (drop (call $hear (local.get $in))))
    ;; Answers one connection, whose handles lie at 4, 8 and 12; says what it asked.
    (func $serve (result i32)
      (local $socket i32) (local $in i32) (local $out i32) (local $asked i32)
      (local.set $socket (i32.load (i32.const 4)))
      (local.set $in (i32.load (i32.const 8)))
      (local.set $out (i32.load (i32.const 12)))
      (local.set $asked (call $asked (local.get $in)))
      (if (i32.eqz (global.get $left)) (then (global.set $broken (i32.const 1))))
      (global.set $left (i32.sub (global.get $left) (i32.const 1)))
      (if (i32.eq (local.get $asked) (i32.const 98)) ;; b
        (then (global.set $broken (i32.const 1))))
      (if (i32.eq (local.get $asked) (i32.const 109)) ;; m
        (then (global.set $broken (i32.const 0))))
      (if (i32.eq (local.get $asked) (i32.const 80))
        (then (call $tell_health (local.get $in) (local.get $out)))
        (else (if (global.get $broken)
          (then (call $send (local.get $out) (i32.const 160) (i32.const 64)))
          (else (call $send (local.get $out) (i32.const 96) (i32.const 41))))))
      (call $drop_input (local.get $in))
      (call $drop_output (local.get $out))
      (call $drop_socket (local.get $socket))
      (local.get $asked))
    (func (export "run") (result i32)
      (local $socket i32) (local $ready i32) (local $room i32)
      (global.set $left (call $number (i32.const 2)))
      (local.set $socket (call $listen (call $number (i32.const 1))))
      (if (i32.eqz (local.get $socket)) (then
        (call $say (i32.const 74) (i32.const 8))
        (return (i32.const 1))))
      (call $say (i32.const 64) (i32.const 10))
      (local.set $ready (call $subscribe (local.get $socket)))
      (local.set $room (global.get $free))
      (loop $next
        (global.set $free (local.get $room))
        (call $block (local.get $ready))
        (call $accept (local.get $socket) (i32.const 0))
        (br_if $next (call $failed))
        (br_if $next (i32.ne (call $serve) (i32.const 113)))) ;; q
      (i32.const 0)))

  (core instance $room (instantiate $room))
  (alias core export $room "memory" (core memory $memory))
  (alias core export $room "realloc" (core func $realloc))
  (core func $arguments (canon lower (func $environment "get-arguments")
    (memory $memory) (realloc $realloc)))
  (core func $stdout (canon lower (func $stdout "get-stdout")))
  (core func $network (canon lower (func $instance-network "instance-network")))
  (core func $create (canon lower (func $create "create-tcp-socket") (memory $memory)))
  (core func $start-bind (canon lower (func $tcp "[method]tcp-socket.start-bind")
    (memory $memory)))
  (core func $finish-bind (canon lower (func $tcp "[method]tcp-socket.finish-bind")
    (memory $memory)))
  (core func $start-listen (canon lower (func $tcp "[method]tcp-socket.start-listen")
    (memory $memory)))
  (core func $finish-listen (canon lower (func $tcp "[method]tcp-socket.finish-listen")
    (memory $memory)))
  (core func $subscribe (canon lower (func $tcp "[method]tcp-socket.subscribe")))
  (core func $accept (canon lower (func $tcp "[method]tcp-socket.accept") (memory $memory)))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $read (canon lower (func $streams "[method]input-stream.blocking-read")
    (memory $memory) (realloc $realloc)))
  (core func $write (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory)))
  (core func $drop-socket (canon resource.drop $socket))
  (core func $drop-input (canon resource.drop $input))
  (core func $drop-output (canon resource.drop $output))
  (core func $drop-error (canon resource.drop $io-error))
  (core instance $guest (instantiate $guest
    (with "room" (instance $room))
    (with "wasi" (instance
      (export "arguments" (func $arguments))
      (export "stdout" (func $stdout))
      (export "network" (func $network))
      (export "create" (func $create))
      (export "start-bind" (func $start-bind))
      (export "finish-bind" (func $finish-bind))
      (export "start-listen" (func $start-listen))
      (export "finish-listen" (func $finish-listen))
      (export "subscribe" (func $subscribe))
      (export "accept" (func $accept))
      (export "block" (func $block))
      (export "read" (func $read))
      (export "write" (func $write))
      (export "drop-socket" (func $drop-socket))
      (export "drop-input" (func $drop-input))
      (export "drop-output" (func $drop-output))
      (export "drop-error" (func $drop-error))))))
  (func $run (result (result)) (canon lift (core func $guest "run")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $command)))
