;; Would start threads for ever, by the proposal wasi-threads.
(module
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (loop $more (drop (call $spawn (i32.const 0))) (br $more))))
