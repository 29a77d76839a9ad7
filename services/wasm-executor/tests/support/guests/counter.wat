;; Writes numbered lines of ten digits at full speed: as many as its argument says, in batches.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (memory (export "memory") 4)
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
  (func $number (param $at i32) (param $value i32) (local $place i32)
    (local.set $place (i32.const 10))
    (i32.store8 (i32.add (local.get $at) (i32.const 10)) (i32.const 10))
    (loop $next
      (local.set $place (i32.sub (local.get $place) (i32.const 1)))
      (i32.store8 (i32.add (local.get $at) (local.get $place))
        (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10))))
      (local.set $value (i32.div_u (local.get $value) (i32.const 10)))
      (br_if $next (local.get $place))))
  (func $wanted (result i32) (local $at i32) (local $value i32)
    (drop (call $args (i32.const 1024) (i32.const 2048)))
    (local.set $at (i32.load (i32.const 1028)))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (i32.load8_u (local.get $at))))
        (local.set $value (i32.add (i32.mul (local.get $value) (i32.const 10))
          (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (local.get $value))
  (func (export "_start") (local $count i32) (local $n i32) (local $at i32)
    (local.set $count (call $wanted))
    (loop $batch
      (local.set $at (i32.const 65536))
      (block $full
        (loop $line
          (br_if $full (i32.eq (local.get $n) (local.get $count)))
          (br_if $full (i32.gt_u (local.get $at) (i32.const 69632)))
          (call $number (local.get $at) (local.get $n))
          (local.set $at (i32.add (local.get $at) (i32.const 11)))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $line)))
      (call $put (i32.const 1) (i32.const 65536) (i32.sub (local.get $at) (i32.const 65536)))
      (br_if $batch (i32.ne (local.get $n) (local.get $count))))))
