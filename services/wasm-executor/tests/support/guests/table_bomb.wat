;; Grows its table, by a million elements at first, then by ever fewer, until not one more is had.
;; Exits with the number of millions of elements that it got, or 255 for more.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (table $table 1 funcref)
  (func (export "_start") (local $step i32) (local $millions i32)
    (local.set $step (i32.const 1000000))
    (loop $more
      (br_if $more (i32.ne
        (table.grow $table (ref.null func) (local.get $step)) (i32.const -1)))
      (local.set $step (i32.shr_u (local.get $step) (i32.const 1)))
      (br_if $more (local.get $step)))
    (local.set $millions (i32.div_u (table.size $table) (i32.const 1000000)))
    (call $proc_exit (select (i32.const 255) (local.get $millions)
      (i32.gt_u (local.get $millions) (i32.const 255))))))
