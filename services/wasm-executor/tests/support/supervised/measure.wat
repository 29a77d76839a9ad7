;; Exits with 0 if its environment has at least as many bytes as its argument says, else with 1.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (local $at i32) (local $value i32)
    (drop (call $args (i32.const 1024) (i32.const 2048)))
    (local.set $at (i32.load (i32.const 1028)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (i32.load8_u (local.get $at))))
        (local.set $value (i32.add (i32.mul (local.get $value) (i32.const 10))
          (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (drop (call $environ_sizes (i32.const 16) (i32.const 20)))
    (call $proc_exit (i32.lt_u (i32.load (i32.const 20)) (local.get $value)))))
