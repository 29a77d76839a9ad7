;; Writes the name of its first preopened folder, then tries to make a folder in it:
;; exits with the error number of that.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get"
    (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory"
    (func $path_create_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "made")
  (func (export "_start")
    (drop (call $fd_prestat_get (i32.const 3) (i32.const 16)))
    (drop (call $fd_prestat_dir_name (i32.const 3) (i32.const 128) (i32.load (i32.const 20))))
    (i32.store (i32.const 0) (i32.const 128))
    (i32.store (i32.const 4) (i32.load (i32.const 20)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $proc_exit
      (call $path_create_directory (i32.const 3) (i32.const 64) (i32.const 4)))))
