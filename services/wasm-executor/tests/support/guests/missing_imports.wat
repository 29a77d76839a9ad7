;; Wants two functions that nobody provides, and one that exists.
(module
  (import "env" "first" (func))
  (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
  (import "env" "second" (func))
  (func (export "_start")))
