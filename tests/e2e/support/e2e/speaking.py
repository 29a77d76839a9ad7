"""A guest that says what it is told, in its termination message and in its log, and ends.

Its arguments: the name of a file in its first folder, what to write into it, what to write to
stdout, and the digit to exit with. A file without a name is not written; one that cannot be made
is exit code 99.
"""

from typing import Any

from e2e.guests import PATH_OPEN, module

NAME = "speaking"

_START = r"""
(if (call $length (call $argument (i32.const 1)))
  (then
    (if (call $path_open (i32.const 3) (i32.const 0)
        (call $argument (i32.const 1)) (call $length (call $argument (i32.const 1)))
        (i32.const 0) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24))
      (then (call $proc_exit (i32.const 99))))
    (call $say (i32.load (i32.const 24)) (call $argument (i32.const 2)))))
(call $say (i32.const 1) (call $argument (i32.const 3)))
(call $proc_exit (i32.sub (i32.load8_u (call $argument (i32.const 4))) (i32.const 48)))"""

_MORE = r"""
(func $argument (param $number i32) (result i32)
  (drop (call $args_get (i32.const 4096) (i32.const 16384)))
  (i32.load (i32.add (i32.const 4096) (i32.shl (local.get $number) (i32.const 2)))))
(func $say (param $fd i32) (param $text i32)
  (if (call $length (local.get $text))
    (then (call $write (local.get $fd) (local.get $text) (call $length (local.get $text))))))
"""


def speaking() -> bytes:
    """The module."""
    return module(_START, more=_MORE, imports=PATH_OPEN)


def speaker(
    name: str,
    image: str,
    *,
    file: str = "termination-log",
    said: str = "",
    logged: str = "",
    code: int = 1,
    **more: Any,
) -> dict[str, Any]:
    """A container that says `said` into that file and `logged` to stdout, and exits."""
    args = [file if said else "", said, logged, str(code)]
    return {"name": name, "image": image, "args": args, **more}
