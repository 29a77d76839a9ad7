;; Not a command: exports something else.
(module (func (export "main")))
