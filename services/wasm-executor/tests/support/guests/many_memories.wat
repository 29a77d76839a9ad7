;; Fills one memory after another in its start section: none of them is large, their sum is.
(module
  (memory $a 512)
  (memory $b 512)
  (memory $c 512)
  (memory $d 512)
  (func $fill
    (memory.fill $a (i32.const 0) (i32.const 1) (i32.const 33554432))
    (memory.fill $b (i32.const 0) (i32.const 1) (i32.const 33554432))
    (memory.fill $c (i32.const 0) (i32.const 1) (i32.const 33554432))
    (memory.fill $d (i32.const 0) (i32.const 1) (i32.const 33554432))
    (loop $again (br $again)))
  (start $fill)
  (func (export "_start")))
