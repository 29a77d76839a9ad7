;; A WASI 0.2 command that imports what nobody provides.
(component
  (import "acme:store/buckets@1.0.0" (instance (export "open" (func))))
  (core module $main
    (func (export "run") (result i32) (i32.const 0)))
  (core instance $main (instantiate $main))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $command)))
