;; Takes a page of memory every 4 ms and writes to it, for ever.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $at i32)
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 4000000))
    (loop $more
      (local.set $at (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
      (memory.fill (local.get $at) (i32.const 1) (i32.const 65536))
      (drop (call $poll_oneoff (i32.const 0) (i32.const 104) (i32.const 1) (i32.const 200)))
      (br $more))))
