;; Its _start wants an argument.
(module (func (export "_start") (param i32)))
