;; Returns from _start without a word.
(module (memory (export "memory") 1) (func (export "_start")))
