;; Exits with the code in its argument: two characters from "@" on, four bits each.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $at i32)
    (drop (call $args (i32.const 1024) (i32.const 2048)))
    (local.set $at (i32.load (i32.const 1028)))
    (call $proc_exit (i32.or
      (i32.shl (i32.sub (i32.load8_u (local.get $at)) (i32.const 64)) (i32.const 4))
      (i32.sub (i32.load8_u offset=1 (local.get $at)) (i32.const 64))))))
