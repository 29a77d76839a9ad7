;; Writes one numbered line of ten digits every 2 ms, for ever.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $number (param $at i32) (param $value i32) (local $place i32)
    (local.set $place (i32.const 10))
    (i32.store8 (i32.add (local.get $at) (i32.const 10)) (i32.const 10))
    (loop $next
      (local.set $place (i32.sub (local.get $place) (i32.const 1)))
      (i32.store8 (i32.add (local.get $at) (local.get $place))
        (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10))))
      (local.set $value (i32.div_u (local.get $value) (i32.const 10)))
      (br_if $next (local.get $place))))
  (func (export "_start") (local $n i32)
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 11))
    (i32.store (i32.const 48) (i32.const 1))
    (i64.store (i32.const 56) (i64.const 2000000))
    (loop $line
      (call $number (i32.const 1024) (local.get $n))
      (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (drop (call $poll_oneoff (i32.const 32) (i32.const 128) (i32.const 1) (i32.const 200)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br $line))))
