;; Writes 32 random bytes.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $digits i32 (i32.const 32))
  (data (i32.const 32) "0123456789abcdef")
  ;; Write all of it: a pipe may take less than it is given.
  (func $put (param $fd i32) (param $at i32) (param $size i32)
    (block $done
      (loop $more
        (br_if $done (i32.eqz (local.get $size)))
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $size))
        (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
          (then unreachable))
        (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
        (local.set $size (i32.sub (local.get $size) (i32.load (i32.const 8))))
        (br $more))))
  (func $digit (param $value i32) (result i32)
    (i32.load8_u (i32.add (global.get $digits) (i32.and (local.get $value) (i32.const 15)))))
  (func (export "_start") (local $n i32) (local $byte i32)
    (drop (call $random_get (i32.const 64) (i32.const 32)))
    (loop $next
      (local.set $byte (i32.load8_u (i32.add (i32.const 64) (local.get $n))))
      (i32.store8 (i32.add (i32.const 128) (i32.mul (local.get $n) (i32.const 2)))
        (call $digit (i32.shr_u (local.get $byte) (i32.const 4))))
      (i32.store8 (i32.add (i32.const 129) (i32.mul (local.get $n) (i32.const 2)))
        (call $digit (local.get $byte)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 32))))
    (i32.store8 (i32.const 192) (i32.const 10))
    (call $put (i32.const 1) (i32.const 128) (i32.const 65))))
