"""A guest that tells everything it was given: its environment, and each file that it can reach.

A line each, the contents in hexadecimal digits, so that no byte of them is lost on the way:

    E {NAME=VALUE}
    F {path} {content}
    X {path}           a file or folder that cannot be read
"""

from typing import NamedTuple

from e2e.guests import LENGTH, wat

_WAT = """
(import "wasi_snapshot_preview1" "environ_sizes_get"
  (func $environ_sizes_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_prestat_dir_name"
  (func $prestat_name (param i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_open"
  (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_filestat_get"
  (func $stat (param i32 i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_readdir"
  (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_read"
  (func $fd_read (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_write"
  (func $fd_write (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))

;; Addresses: 0 iovec, 16 results, 64 a stat, 256 digits, 65536 bytes to write, 131072 bytes read,
;; from 262144 on paths and listings, as a stack.
(memory (export "memory") 256)
(data (i32.const 256) "0123456789abcdef")
(global $written (mut i32) (i32.const 0))
(global $top (mut i32) (i32.const 262144))

(func $flush (local $at i32) (local $left i32)
  (local.set $at (i32.const 65536))
  (local.set $left (global.get $written))
  (loop $more
    (if (i32.eqz (local.get $left)) (then (global.set $written (i32.const 0)) (return)))
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $left))
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))
      (then (unreachable)))
    (local.set $at (i32.add (local.get $at) (i32.load (i32.const 16))))
    (local.set $left (i32.sub (local.get $left) (i32.load (i32.const 16))))
    (br $more)))

(func $put (param $byte i32)
  (if (i32.eq (global.get $written) (i32.const 65536)) (then (call $flush)))
  (i32.store8 (i32.add (i32.const 65536) (global.get $written)) (local.get $byte))
  (global.set $written (i32.add (global.get $written) (i32.const 1))))

(func $text (param $at i32) (param $size i32)
  (loop $next
    (if (i32.eqz (local.get $size)) (then (return)))
    (call $put (i32.load8_u (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (local.set $size (i32.sub (local.get $size) (i32.const 1)))
    (br $next)))

(func $hex (param $at i32) (param $size i32) (local $byte i32)
  (loop $next
    (if (i32.eqz (local.get $size)) (then (return)))
    (local.set $byte (i32.load8_u (local.get $at)))
    (call $put (i32.load8_u offset=256 (i32.shr_u (local.get $byte) (i32.const 4))))
    (call $put (i32.load8_u offset=256 (i32.and (local.get $byte) (i32.const 15))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (local.set $size (i32.sub (local.get $size) (i32.const 1)))
    (br $next)))

(func $begin (param $kind i32) (param $path i32) (param $size i32)
  (call $put (local.get $kind))
  (call $put (i32.const 32))
  (call $text (local.get $path) (local.get $size)))

(func $line_end (call $put (i32.const 10)))

(func $environment (local $at i32) (local $end i32) (local $size i32)
  (drop (call $environ_sizes_get (i32.const 16) (i32.const 20)))
  (local.set $at (i32.const 4194304))
  (local.set $end (i32.add (local.get $at) (i32.load (i32.const 20))))
  (drop (call $environ_get (i32.const 2097152) (local.get $at)))
  (loop $next
    (if (i32.ge_u (local.get $at) (local.get $end)) (then (return)))
    (local.set $size (call $length (local.get $at)))
    (call $put (i32.const 69))
    (call $put (i32.const 32))
    (call $hex (local.get $at) (local.get $size))
    (call $line_end)
    (local.set $at (i32.add (local.get $at) (i32.add (local.get $size) (i32.const 1))))
    (br $next)))

(func $unreadable (param $path i32) (param $path_size i32)
  (call $begin (i32.const 88) (local.get $path) (local.get $path_size))
  (call $line_end))

(func $file (param $folder i32) (param $name i32) (param $size i32)
    (param $path i32) (param $path_size i32) (local $fd i32)
  (if (call $path_open (local.get $folder) (i32.const 1) (local.get $name) (local.get $size)
      (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16))
    (then (call $unreadable (local.get $path) (local.get $path_size)) (return)))
  (local.set $fd (i32.load (i32.const 16)))
  (call $begin (i32.const 70) (local.get $path) (local.get $path_size))
  (call $put (i32.const 32))
  (loop $more
    (i32.store (i32.const 0) (i32.const 131072))
    (i32.store (i32.const 4) (i32.const 131072))
    (if (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 16))
      (then (unreachable)))
    (if (i32.load (i32.const 16))
      (then
        (call $hex (i32.const 131072) (i32.load (i32.const 16)))
        (br $more))))
  (call $line_end)
  (drop (call $fd_close (local.get $fd))))

(func $entry (param $folder i32) (param $name i32) (param $size i32)
    (param $path i32) (param $path_size i32)
  (if (call $stat (local.get $folder) (i32.const 1) (local.get $name) (local.get $size)
      (i32.const 64))
    (then (call $unreadable (local.get $path) (local.get $path_size)) (return)))
  (if (i32.ne (i32.load8_u (i32.const 80)) (i32.const 3))
    (then
      (call $file (local.get $folder) (local.get $name) (local.get $size)
        (local.get $path) (local.get $path_size))
      (return)))
  (if (call $path_open (local.get $folder) (i32.const 1) (local.get $name) (local.get $size)
      (i32.const 2) (i64.const 286722) (i64.const 286722) (i32.const 0) (i32.const 16))
    (then (call $unreadable (local.get $path) (local.get $path_size)) (return)))
  (call $walk (i32.load (i32.const 16)) (local.get $path) (local.get $path_size)))

;; Names that begin with `..` are a volume's inner parts; `.` is the folder itself.
(func $is_hidden (param $name i32) (param $size i32) (result i32)
  (if (result i32) (i32.eq (i32.load8_u (local.get $name)) (i32.const 46))
    (then (i32.or (i32.eq (local.get $size) (i32.const 1))
      (i32.eq (i32.load8_u offset=1 (local.get $name)) (i32.const 46))))
    (else (i32.const 0))))

(func $walk (param $folder i32) (param $path i32) (param $path_size i32)
    (local $before i32) (local $at i32) (local $end i32) (local $size i32) (local $own i32)
  (local.set $before (global.get $top))
  (if (call $fd_readdir (local.get $folder) (local.get $before) (i32.const 65536) (i64.const 0)
      (i32.const 16))
    (then (call $unreadable (local.get $path) (local.get $path_size)) (return)))
  (local.set $at (local.get $before))
  (local.set $end (i32.add (local.get $at) (i32.load (i32.const 16))))
  (local.set $own (local.get $end))
  (block $done
    (loop $next
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $size (i32.load offset=16 (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 24)))
      (if (i32.eqz (call $is_hidden (local.get $at) (local.get $size)))
        (then
          (memory.copy (local.get $own) (local.get $path) (local.get $path_size))
          (i32.store8 (i32.add (local.get $own) (local.get $path_size)) (i32.const 47))
          (memory.copy (i32.add (local.get $own) (i32.add (local.get $path_size) (i32.const 1)))
            (local.get $at) (local.get $size))
          (global.set $top (i32.add (local.get $own)
            (i32.add (local.get $path_size) (i32.add (local.get $size) (i32.const 1)))))
          (call $entry (local.get $folder) (local.get $at) (local.get $size) (local.get $own)
            (i32.add (local.get $path_size) (i32.add (local.get $size) (i32.const 1))))))
      (local.set $at (i32.add (local.get $at) (local.get $size)))
      (br $next)))
  (global.set $top (local.get $before))
  (drop (call $fd_close (local.get $folder))))

(func (export "_start") (local $fd i32) (local $size i32) (local $path i32)
  (call $environment)
  (local.set $fd (i32.const 3))
  (loop $next
    (if (call $prestat (local.get $fd) (i32.const 64)) (then (call $flush) (return)))
    (local.set $size (i32.load (i32.const 68)))
    (local.set $path (global.get $top))
    (drop (call $prestat_name (local.get $fd) (local.get $path) (local.get $size)))
    ;; `/` alone is nothing before the names in it
    (if (i32.eq (local.get $size) (i32.const 1)) (then (local.set $size (i32.const 0))))
    (global.set $top (i32.add (local.get $path) (local.get $size)))
    (call $walk (local.get $fd) (local.get $path) (local.get $size))
    (global.set $top (local.get $path))
    (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
    (br $next)))
"""


class Told(NamedTuple):
    """What a guest said of its world."""

    environment: dict[str, bytes]
    files: dict[str, bytes]
    unreadable: frozenset[str]


def tells_all() -> bytes:
    """See the module."""
    return wat(_WAT + LENGTH)


def told(text: str) -> Told:
    """Read what the guest wrote; every name once."""
    found = Told({}, {}, frozenset())
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        match kind:
            case "E":
                name, _, value = bytes.fromhex(rest).partition(b"=")
                assert name.decode() not in found.environment, f"{name!r} twice"
                found.environment[name.decode()] = value
            case "F":
                path, _, content = rest.rpartition(" ")
                assert path not in found.files, f"{path} twice"
                found.files[path] = bytes.fromhex(content)
            case "X":
                found = found._replace(unreadable=found.unreadable | {rest})
            case _:
                raise AssertionError(f"an unknown line: {line[:100]!r}")
    return found
