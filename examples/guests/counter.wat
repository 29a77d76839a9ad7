;; Prints 1, 2, 3, ... for ever, one line per second.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  ;; 0: iovec (address, length)   8: bytes written   64: subscription (48 bytes)   128: its event
  ;; 200 to 220: the line, written from its end

  (func $sleep_1s
    (memory.fill (i32.const 64) (i32.const 0) (i32.const 48))
    (i32.store (i32.const 80) (i32.const 1))                 ;; the monotonic clock
    (i64.store (i32.const 88) (i64.const 1000000000))        ;; nanoseconds from now
    (drop (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 8))))

  (func $print (param $number i64)
    (local $at i32)
    (local.set $at (i32.const 220))
    (i32.store8 (local.get $at) (i32.const 10))              ;; the newline
    (loop $digits
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
      (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
      (br_if $digits (i64.ne (local.get $number) (i64.const 0))))
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (i32.sub (i32.const 221) (local.get $at)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))

  (func (export "_start")
    (local $number i64)
    (loop $forever
      (local.set $number (i64.add (local.get $number) (i64.const 1)))
      (call $print (local.get $number))
      (call $sleep_1s)
      (br $forever))))
