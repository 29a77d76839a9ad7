;; Writes 640 blocks of 640 lines of 100 bytes each (40,960,000 bytes), then sleeps.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start")
    (local $at i32)
    (local $left i32)
    (memory.fill (i32.const 1024) (i32.const 120) (i32.const 64000))
    (local.set $at (i32.const 1123))
    (loop $newlines
      (i32.store8 (local.get $at) (i32.const 10))
      (local.set $at (i32.add (local.get $at) (i32.const 100)))
      (br_if $newlines (i32.lt_u (local.get $at) (i32.const 65024))))
    (local.set $left (i32.const 640))
    (loop $blocks
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 64000))
      (loop $whole
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.load (i32.const 8))))
        (i32.store (i32.const 4) (i32.sub (i32.load (i32.const 4)) (i32.load (i32.const 8))))
        (br_if $whole (i32.load (i32.const 4))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $blocks (local.get $left)))
    (i32.store (i32.const 80) (i32.const 1))
    (i64.store (i32.const 88) (i64.const 3155760000000000000))
    (drop (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 192)))))
