"""A guest that says what it is told, in its termination message and in its log, and ends.

Its arguments: the folder and the name of a file, what to write into it, what to write to stdout,
and the digit to exit with. A file without a name is not written; without that very folder among
those that it is given, it exits with 98, and with 99 where the file is not there to be opened.
"""

import posixpath
from typing import Any

from e2e.guests import PATH_OPEN, module

NAME = "speaking"

_IMPORTS = """
(import "wasi_snapshot_preview1" "fd_prestat_get"
  (func $fd_prestat_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_prestat_dir_name"
  (func $fd_prestat_dir_name (param i32 i32 i32) (result i32)))
"""

_START = r"""
(if (call $length (call $argument (i32.const 2)))
  (then
    (if (call $path_open (call $folder (call $argument (i32.const 1))) (i32.const 0)
        (call $argument (i32.const 2)) (call $length (call $argument (i32.const 2)))
        (i32.const 0) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24))
      (then (call $proc_exit (i32.const 99))))
    (call $say (i32.load (i32.const 24)) (call $argument (i32.const 3)))))
(call $say (i32.const 1) (call $argument (i32.const 4)))
(call $proc_exit (i32.sub (i32.load8_u (call $argument (i32.const 5))) (i32.const 48)))"""

# Addresses: 32 what is told of a folder, 512 its name.
_MORE = r"""
(func $argument (param $number i32) (result i32)
  (drop (call $args_get (i32.const 4096) (i32.const 16384)))
  (i32.load (i32.add (i32.const 4096) (i32.shl (local.get $number) (i32.const 2)))))
(func $say (param $fd i32) (param $text i32)
  (if (call $length (local.get $text))
    (then (call $write (local.get $fd) (local.get $text) (call $length (local.get $text))))))
(func $folder (param $name i32) (result i32) (local $fd i32)
  (local.set $fd (i32.const 3))
  (loop $next
    (if (call $fd_prestat_get (local.get $fd) (i32.const 32))
      (then (call $proc_exit (i32.const 98))))
    (memory.fill (i32.const 512) (i32.const 0) (i32.const 1024))
    (drop (call $fd_prestat_dir_name (local.get $fd) (i32.const 512)
      (i32.load (i32.const 36))))
    (if (call $same (local.get $name) (i32.const 512)) (then (return (local.get $fd))))
    (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
    (br $next))
  (unreachable))
(func $same (param $one i32) (param $other i32) (result i32)
  (loop $next
    (if (i32.ne (i32.load8_u (local.get $one)) (i32.load8_u (local.get $other)))
      (then (return (i32.const 0))))
    (if (i32.eqz (i32.load8_u (local.get $one))) (then (return (i32.const 1))))
    (local.set $one (i32.add (local.get $one) (i32.const 1)))
    (local.set $other (i32.add (local.get $other) (i32.const 1)))
    (br $next))
  (unreachable))
"""


def speaking() -> bytes:
    """The module."""
    return module(_START, more=_MORE, imports=PATH_OPEN + _IMPORTS)


def speaker(
    name: str,
    image: str,
    *,
    file: str = "/dev/termination-log",
    said: str = "",
    logged: str = "",
    code: int = 1,
    **more: Any,
) -> dict[str, Any]:
    """A container that says `said` into that file and `logged` to stdout, and exits."""
    folder, base = posixpath.split(file)
    args = [folder, base if said else "", said, logged, str(code)]
    return {"name": name, "image": image, "args": args, **more}
