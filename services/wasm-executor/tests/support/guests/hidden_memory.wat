;; Wants 4 MiB that nobody outside can see.
(module
  (memory 64)
  (func (export "_start")))
