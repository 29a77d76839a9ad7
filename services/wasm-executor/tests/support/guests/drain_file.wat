;; Looks every 5 ms whether there is a file `drain` in its first preopened folder, and ends with 0
;; when there is. It says `waiting` first.
(module
  (import "wasi_snapshot_preview1" "path_filestat_get"
    (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 256) "drain")
  (data (i32.const 272) "waiting\n")
  (func $sleep
    (i32.store (i32.const 80) (i32.const 1))
    (i64.store (i32.const 88) (i64.const 5000000))
    (drop (call $poll (i32.const 64) (i32.const 112) (i32.const 1) (i32.const 160))))
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 272))
    (i32.store (i32.const 4) (i32.const 8))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (loop $again
      (if (i32.eqz (call $stat (i32.const 3) (i32.const 0) (i32.const 256) (i32.const 5)
          (i32.const 512)))
        (then (call $proc_exit (i32.const 0))))
      (call $sleep)
      (br $again))))
