;; Traps in its start section.
(module
  (func $trap (unreachable))
  (start $trap)
  (func (export "_start")))
