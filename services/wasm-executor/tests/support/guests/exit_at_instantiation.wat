;; Leaves with 3 in its start section; with 0 if it has an argument.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $leave
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (call $proc_exit
      (select (i32.const 0) (i32.const 3) (i32.gt_u (i32.load (i32.const 0)) (i32.const 1)))))
  (start $leave)
  (func (export "_start") (unreachable)))
