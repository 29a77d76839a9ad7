;; Opens the file that its first argument names in its first preopened folder, which must be there,
;; writes its second argument into it, and exits with its third one's first digit. Exits with 90 and
;; the error number where that fails.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (func $length (param $at i32) (result i32) (local $end i32)
    (local.set $end (local.get $at))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (i32.load8_u (local.get $end))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    (i32.sub (local.get $end) (local.get $at)))
  (func $require (param $error i32)
    (if (local.get $error)
      (then (call $proc_exit (i32.add (i32.const 90) (local.get $error))))))
  (func (export "_start") (local $path i32) (local $text i32)
    (call $require (call $args (i32.const 1024) (i32.const 2048)))
    (local.set $path (i32.load (i32.const 1028)))
    (local.set $text (i32.load (i32.const 1032)))
    (call $require (call $path_open (i32.const 3) (i32.const 0)
      (local.get $path) (call $length (local.get $path))
      (i32.const 0) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))
    (i32.store (i32.const 0) (local.get $text))
    (i32.store (i32.const 4) (call $length (local.get $text)))
    (call $require (call $fd_write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1)
      (i32.const 8)))
    (call $proc_exit (i32.sub (i32.load8_u (i32.load (i32.const 1036))) (i32.const 48)))))
