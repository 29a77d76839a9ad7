;; Sleeps for ever; with an argument, does what its first letter says:
;; e: echoes stdin up to its end, o: says "out" and "err" and exits with 3, f: floods stdout.
(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get"
    (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 512) "out\nerr\n")
  (func $write (param $fd i32) (param $at i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $length))
    (if (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))
      (then unreachable)))
  (func $echo
    (block $end
      (loop $more
        (i32.store (i32.const 0) (i32.const 1024))
        (i32.store (i32.const 4) (i32.const 16384))
        (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
          (then unreachable))
        (br_if $end (i32.eqz (i32.load (i32.const 8))))
        (call $write (i32.const 1) (i32.const 1024) (i32.load (i32.const 8)))
        (br $more))))
  (func $sleep
    (i32.store (i32.const 48) (i32.const 1))
    (i64.store (i32.const 56) (i64.const 1000000000))
    (loop $again
      (drop (call $poll_oneoff (i32.const 32) (i32.const 128) (i32.const 1) (i32.const 200)))
      (br $again)))
  (func (export "_start") (local $letter i32)
    (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
    (if (i32.lt_u (i32.load (i32.const 16)) (i32.const 2)) (then (call $sleep)))
    (drop (call $args_get (i32.const 32768) (i32.const 65536)))
    (local.set $letter (i32.load8_u (i32.load (i32.const 32772))))
    (if (i32.eq (local.get $letter) (i32.const 101)) (then (call $echo)))
    (if (i32.eq (local.get $letter) (i32.const 111))
      (then
        (call $write (i32.const 1) (i32.const 512) (i32.const 4))
        (call $write (i32.const 2) (i32.const 516) (i32.const 4))
        (call $proc_exit (i32.const 3))))
    (if (i32.eq (local.get $letter) (i32.const 102))
      (then (loop $flood
        (call $write (i32.const 1) (i32.const 1024) (i32.const 16384)) (br $flood))))))
