;; Takes without measure in its first preopened folder, and exits with the error number that ends it.
;; The first argument says what:
;;   m DIGITS  makes so many empty files, named by eight letters each
;;   o FILE    opens the file again and again, closing nothing, until that fails; says how with the
;;             error number on stdout; then closes one, opens it once more, and exits with what came
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $require (param $error i32)
    (if (local.get $error) (then (call $proc_exit (local.get $error)))))
  (func $number (param $at i32) (result i32) (local $value i32)
    (loop $next
      (local.set $value (i32.add (i32.mul (local.get $value) (i32.const 10))
        (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.load8_u (local.get $at))))
    (local.get $value))
  (func $length (param $at i32) (result i32) (local $end i32)
    (local.set $end (local.get $at))
    (loop $next
      (if (i32.load8_u (local.get $end)) (then
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next))))
    (i32.sub (local.get $end) (local.get $at)))
  ;; a number as eight letters, a to p, at 256
  (func $name (param $value i32) (local $at i32)
    (local.set $at (i32.const 263))
    (loop $next
      (i32.store8 (local.get $at)
        (i32.add (i32.const 97) (i32.and (local.get $value) (i32.const 15))))
      (local.set $value (i32.shr_u (local.get $value) (i32.const 4)))
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (br_if $next (i32.ge_u (local.get $at) (i32.const 256)))))
  (func $make (param $count i32)
    (loop $next
      (call $name (local.get $count))
      (call $require (call $path_open (i32.const 3) (i32.const 0) (i32.const 256) (i32.const 8)
        (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))
      (call $require (call $fd_close (i32.load (i32.const 16))))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $next (local.get $count))))
  (func $open (param $path i32) (result i32)
    (call $path_open (i32.const 3) (i32.const 1) (local.get $path) (call $length (local.get $path))
      (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
  (func $hoard (param $path i32) (local $error i32)
    (loop $next
      (local.set $error (call $open (local.get $path)))
      (br_if $next (i32.eqz (local.get $error))))
    (i32.store8 (i32.const 32)
      (i32.add (i32.const 48) (i32.div_u (local.get $error) (i32.const 10))))
    (i32.store8 (i32.const 33)
      (i32.add (i32.const 48) (i32.rem_u (local.get $error) (i32.const 10))))
    (i32.store (i32.const 0) (i32.const 32))
    (i32.store (i32.const 4) (i32.const 2))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $require (call $fd_close (i32.load (i32.const 16))))
    (call $proc_exit (call $open (local.get $path))))
  (func (export "_start")
    (call $require (call $args (i32.const 1024) (i32.const 2048)))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 1028))) (i32.const 109)) ;; m
      (then (call $make (call $number (i32.load (i32.const 1032))))))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 1028))) (i32.const 111)) ;; o
      (then (call $hoard (i32.load (i32.const 1032)))))))
