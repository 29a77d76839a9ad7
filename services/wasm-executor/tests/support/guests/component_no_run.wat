;; A component that is not a command.
(component)
