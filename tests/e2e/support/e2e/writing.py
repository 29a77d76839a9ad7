"""A guest that writes one file of a volume: its arguments are the mount's path, a name, a text."""

from e2e.guests import PATH_OPEN, module

_IMPORTS = """
(import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_prestat_dir_name"
  (func $prestat_name (param i32 i32 i32) (result i32)))
"""
_MORE = """
(func $argument (param $number i32) (result i32)
  (i32.load offset=4096 (i32.mul (local.get $number) (i32.const 4))))
(func $same (param $a i32) (param $b i32) (param $size i32) (result i32)
  (loop $next
    (if (i32.eqz (local.get $size)) (then (return (i32.const 1))))
    (if (i32.ne (i32.load8_u (local.get $a)) (i32.load8_u (local.get $b)))
      (then (return (i32.const 0))))
    (local.set $a (i32.add (local.get $a) (i32.const 1)))
    (local.set $b (i32.add (local.get $b) (i32.const 1)))
    (local.set $size (i32.sub (local.get $size) (i32.const 1)))
    (br $next))
  (unreachable))
(func $folder (param $name i32) (result i32) (local $fd i32) (local $size i32)
  (local.set $size (call $length (local.get $name)))
  (local.set $fd (i32.const 3))
  (loop $next
    (if (call $prestat (local.get $fd) (i32.const 64)) (then (call $proc_exit (i32.const 99))))
    (if (i32.eq (i32.load (i32.const 68)) (local.get $size))
      (then
        (drop (call $prestat_name (local.get $fd) (i32.const 512) (local.get $size)))
        (if (call $same (i32.const 512) (local.get $name) (local.get $size))
          (then (return (local.get $fd))))))
    (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
    (br $next))
  (unreachable))
"""
_START = """
(local $name i32) (local $error i32)
(drop (call $args_get (i32.const 4096) (i32.const 16384)))
(local.set $name (call $argument (i32.const 2)))
(local.set $error (call $path_open (call $folder (call $argument (i32.const 1))) (i32.const 1)
  (local.get $name) (call $length (local.get $name))
  (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)))
(if (local.get $error) (then (call $proc_exit (local.get $error))))
(call $write (i32.load (i32.const 32)) (call $argument (i32.const 3))
  (call $length (call $argument (i32.const 3))))
"""


def writes_file() -> bytes:
    """See the module. It exits with the error number of what went wrong, 99 for no such folder."""
    return module(_START, more=_MORE, imports=_IMPORTS + PATH_OPEN)
