"""A guest that does what its first argument says, so that one module plays every part in a pod.

`sleep` says its first argument and sleeps for ever. `exitN` ends with N. `say TEXT` says it and
ends with 0. `fail TEXT` writes it into `/dev/termination-log` and ends with 1.
"""

from typing import Any

from e2e.guests import PATH_OPEN, module

NAME = "obedient"
"""Its image's name, and so the name of its program: what a command of an exec begins with."""

_START = r"""
(local $verb i32) (local $text i32)
(drop (call $args_get (i32.const 4096) (i32.const 16384)))
(local.set $verb (i32.load8_u (i32.load (i32.const 4100))))
(local.set $text (i32.load (i32.const 4104)))
(if (i32.eq (local.get $verb) (i32.const 101))
  (then (call $proc_exit
    (i32.sub (i32.load8_u offset=4 (i32.load (i32.const 4100))) (i32.const 48)))))
(if (i32.eq (local.get $verb) (i32.const 102))
  (then
    (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 272) (i32.const 15) (i32.const 0)
        (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24))
      (then (call $proc_exit (i32.const 99))))
    (call $write (i32.load (i32.const 24)) (local.get $text) (call $length (local.get $text)))
    (call $proc_exit (i32.const 1))))
(if (i32.eqz (i32.sub (i32.load8_u offset=1 (i32.load (i32.const 4100))) (i32.const 97)))
  (then
    (call $write (i32.const 1) (local.get $text) (call $length (local.get $text)))
    (call $write (i32.const 1) (i32.const 256) (i32.const 1))
    (call $proc_exit (i32.const 0))))
(call $write (i32.const 1) (i32.load (i32.const 4100))
  (call $length (i32.load (i32.const 4100))))
(call $write (i32.const 1) (i32.const 256) (i32.const 1))
(call $sleep_for_ever)"""

_MORE = r"""
(data (i32.const 256) "\n")
(data (i32.const 272) "termination-log")
"""


def obedient() -> bytes:
    """The module."""
    return module(_START, more=_MORE, imports=PATH_OPEN)


def part(name: str, image: str, *args: str, **more: Any) -> dict[str, Any]:
    """A container that plays a part."""
    return {"name": name, "image": image, "args": list(args), **more}


def does(*args: str, **more: Any) -> dict[str, Any]:
    """A probe or hook that runs the module once more with these arguments."""
    return {"exec": {"command": [NAME, *args]}, **more}
