"""A guest that follows a file: it writes what the file holds, and again whenever that changes."""

from e2e.guests import PATH_OPEN, module

_HELPERS = r"""
(import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
"""

# 65536: what was read now; 98304: what was written last. At most 32 KiB of each.
_MORE = r"""
(data (i32.const 256) "\n")
(func $read (param $path i32) (result i32) (local $fd i32) (local $size i32)
  (local.set $fd (i32.const 3))
  (block $done
    (loop $next
      (br_if $done (i32.gt_u (local.get $fd) (i32.const 16)))
      (if (i32.eqz (call $path_open (local.get $fd) (i32.const 1)
          (local.get $path) (call $length (local.get $path))
          (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 24)))
        (then
          (i32.store (i32.const 0) (i32.const 65536))
          (i32.store (i32.const 4) (i32.const 32768))
          (if (i32.eqz (call $fd_read (i32.load (i32.const 24))
              (i32.const 0) (i32.const 1) (i32.const 16)))
            (then (local.set $size (i32.load (i32.const 16)))))
          (drop (call $fd_close (i32.load (i32.const 24))))
          (br $done)))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br $next)))
  (local.get $size))
(func $differs (param $size i32) (result i32) (local $at i32)
  (block $done
    (loop $next
      (br_if $done (i32.ge_u (local.get $at) (local.get $size)))
      (if (i32.ne
          (i32.load8_u (i32.add (i32.const 65536) (local.get $at)))
          (i32.load8_u (i32.add (i32.const 98304) (local.get $at))))
        (then (return (i32.const 1))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
  (i32.const 0))
"""

_START = r"""
(local $path i32) (local $size i32) (local $last i32)
(drop (call $args_get (i32.const 4096) (i32.const 16384)))
(local.set $path (i32.load (i32.const 4100)))
(local.set $last (i32.const -1))
(loop $again
  (local.set $size (call $read (local.get $path)))
  (if (i32.or (i32.ne (local.get $size) (local.get $last)) (call $differs (local.get $size)))
    (then
      (memory.copy (i32.const 98304) (i32.const 65536) (local.get $size))
      (local.set $last (local.get $size))
      (call $write (i32.const 1) (i32.const 98304) (local.get $size))
      (call $write (i32.const 1) (i32.const 256) (i32.const 1))))
  (call $sleep_ms (i64.const 50))
  (br $again))
"""


def follows_file() -> bytes:
    """Its argument is the path below whichever mount has it; no such file is an empty line."""
    return module(_START, more=_MORE, imports=_HELPERS + PATH_OPEN)
