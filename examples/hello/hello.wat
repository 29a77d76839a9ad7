;; Prints one line and ends with exit code 0. Text, so that no compiler is needed.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "\10\00\00\00\27\00\00\00")  ;; one iovec: address 16, length 39
  (data (i32.const 16) "Hello from WebAssembly, run by wasmlet\0a")
  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))))
