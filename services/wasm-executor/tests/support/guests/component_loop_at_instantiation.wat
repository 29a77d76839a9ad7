;; A WASI 0.2 command that does not come to its `run`: instantiating it never returns.
(component
  (core module $main
    (func $forever (loop $again (br $again)))
    (start $forever)
    (func (export "run") (result i32) (i32.const 0)))
  (core instance $main (instantiate $main))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $command)))
