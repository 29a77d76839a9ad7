;; A CGI program whose functions are its routes' entrypoints:
;;   _start   says its arguments and environment, a line each, without a secret's
;;   echo     sends its stdin back
;;   status   answers 404 with a header of its own     moved   answers with a location
;;   plain    says nothing of a header                 leave   says half a header, exits with 3
;;   trap     traps                                    loop    computes for ever
;;   large    says 4 MiB                               pause   says a line, waits for stdin's end
;;   ask      asks the URL in its first argument and sends on what it hears, or the code
;;   hold     reads stdin to its end, says on stderr what kind of end it was, then answers
;;   _routes  adds /own, which is `status`
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_experimental_http" "req"
    (func $req (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_experimental_http" "body_read"
    (func $body_read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 1024) "content-type: text/plain\n\n")
  (data (i32.const 1100) "Status: 404 Not Here\0d\0aX-Own: yes\0d\0aConnection: upgrade\0d\0a\0d\0anot here\n")
  (data (i32.const 1200) "Location: /elsewhere\n\n")
  (data (i32.const 1300) "no header at all\n")
  (data (i32.const 1400) "/own status\n")
  (data (i32.const 1500) "line\n")
  (data (i32.const 1600) "GET")
  (data (i32.const 1700) "x-asked: by a guest\n")
  (data (i32.const 1800) "refused: ?\n")
  (data (i32.const 1900) "its body is broken\n")
  (data (i32.const 1950) "its body is whole\n")

  (func $say (param $at i32) (param $size i32)
    (loop $more
      (if (i32.eqz (local.get $size)) (then (return)))
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (local.get $size))
      (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
        (then (unreachable)))
      (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
      (local.set $size (i32.sub (local.get $size) (i32.load (i32.const 8))))
      (br $more)))

  ;; Bytes with a line's end for each NUL.
  (func $say_strings (param $at i32) (param $size i32) (local $i i32)
    (loop $next
      (if (i32.lt_u (local.get $i) (local.get $size))
        (then
          (if (i32.eqz (i32.load8_u (i32.add (local.get $at) (local.get $i))))
            (then (i32.store8 (i32.add (local.get $at) (local.get $i)) (i32.const 10))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next))))
    (call $say (local.get $at) (local.get $size)))

  (func $text (call $say (i32.const 1024) (i32.const 26)))

  (func (export "_start")
    (call $text)
    (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
    (drop (call $args_get (i32.const 4096) (i32.const 8192)))
    (call $say_strings (i32.const 8192) (i32.load (i32.const 20)))
    (drop (call $environ_sizes_get (i32.const 16) (i32.const 20)))
    (drop (call $environ_get (i32.const 16384) (i32.const 65536)))
    (call $say_strings (i32.const 65536) (i32.load (i32.const 20))))

  (func $copy
    (loop $more
      (i32.store (i32.const 0) (i32.const 65536))
      (i32.store (i32.const 4) (i32.const 65536))
      (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 12))
        (then (unreachable)))
      (if (i32.load (i32.const 12))
        (then (call $say (i32.const 65536) (i32.load (i32.const 12))) (br $more)))))

  (func (export "echo") (call $text) (call $copy))
  (func (export "status") (call $say (i32.const 1100) (i32.const 66)))
  (func (export "moved") (call $say (i32.const 1200) (i32.const 22)))
  (func (export "plain") (call $say (i32.const 1300) (i32.const 17)))
  (func (export "leave") (call $say (i32.const 1024) (i32.const 24)) (call $proc_exit (i32.const 3)))
  (func (export "trap") (unreachable))
  (func (export "loop") (loop $ever (br $ever)))
  (func (export "pause") (call $text) (call $say (i32.const 1500) (i32.const 5)) (call $copy))
  (func (export "hold") (local $code i32)
    (loop $more
      (i32.store (i32.const 0) (i32.const 65536))
      (i32.store (i32.const 4) (i32.const 65536))
      (local.set $code
        (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 12)))
      (br_if $more
        (i32.and (i32.eqz (local.get $code)) (i32.ne (i32.load (i32.const 12)) (i32.const 0)))))
    (i32.store (i32.const 0) (select (i32.const 1900) (i32.const 1950) (local.get $code)))
    (i32.store (i32.const 4) (select (i32.const 19) (i32.const 18) (local.get $code)))
    (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $text))
  (func (export "large") (local $i i32)
    (call $text)
    (memory.fill (i32.const 65536) (i32.const 97) (i32.const 65536))
    (loop $more
      (call $say (i32.const 65536) (i32.const 65536))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 64)))))
  (func (export "_routes") (call $say (i32.const 1400) (i32.const 12)))

  (func (export "ask") (local $code i32) (local $url i32)
    (call $text)
    (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
    (drop (call $args_get (i32.const 4096) (i32.const 8192)))
    (local.set $url (i32.load (i32.const 4100)))
    (local.set $code
      (call $req
        (local.get $url)
        (i32.sub (i32.sub (i32.add (i32.const 8192) (i32.load (i32.const 20))) (local.get $url))
          (i32.const 1))
        (i32.const 1600) (i32.const 3)
        (i32.const 1700) (i32.const 20)
        (i32.const 0) (i32.const 0)
        (i32.const 32) (i32.const 36)))
    (if (local.get $code)
      (then
        (i32.store8 (i32.const 1809) (i32.add (i32.const 48) (local.get $code)))
        (call $say (i32.const 1800) (i32.const 11))
        (return)))
    (if (call $body_read (i32.load (i32.const 36)) (i32.const 65536) (i32.const 0) (i32.const 40))
      (then (unreachable)))
    (if (i32.load (i32.const 40)) (then (unreachable)))
    (loop $more
      (if (call $body_read (i32.load (i32.const 36)) (i32.const 65536) (i32.const 65536)
            (i32.const 40))
        (then (unreachable)))
      (if (i32.load (i32.const 40))
        (then (call $say (i32.const 65536) (i32.load (i32.const 40))) (br $more))))))
