;; A WASI 0.2 command that leaves with 1 while it is instantiated.
(component
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))
  (core func $exit (canon lower (func $exit "exit")))
  (core module $main
    (import "host" "exit" (func $exit (param i32)))
    (func $leave (call $exit (i32.const 1)))
    (start $leave)
    (func (export "run") (result i32) (i32.const 0)))
  (core instance $main (instantiate $main (with "host" (instance (export "exit" (func $exit))))))
  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $command)))
