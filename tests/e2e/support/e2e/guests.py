"""Guests as WebAssembly text: each does one thing that a test can see from outside."""

import textwrap
from pathlib import Path

import wasmtime

EXAMPLES = Path(__file__).parents[4] / "examples" / "guests"
TALKER = Path(__file__).parents[4] / "benchmarks" / "guests" / "talker.wat"

_IMPORTS = """
(import "wasi_snapshot_preview1" "fd_write"
  (func $fd_write (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_read"
  (func $fd_read (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "poll_oneoff"
  (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "environ_sizes_get"
  (func $environ_sizes_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "environ_get"
  (func $environ_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "args_sizes_get"
  (func $args_sizes_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "args_get"
  (func $args_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
"""

PATH_OPEN = """
(import "wasi_snapshot_preview1" "path_open"
  (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
"""
"""One more import, for `module`."""

LENGTH = """
(func $length (param $at i32) (result i32) (local $end i32)
  (local.set $end (local.get $at))
  (loop $next
    (if (i32.load8_u (local.get $end))
      (then (local.set $end (i32.add (local.get $end) (i32.const 1))) (br $next))))
  (i32.sub (local.get $end) (local.get $at)))
"""
"""Of a text that ends with a zero byte; every `module` has it."""

# Addresses: 0 iovec, 16 result words, 64 a poll subscription and its event, 256 texts,
# 4096 pointers of environ and args, 16384 their bytes.
_COMMON = """
(memory (export "memory") 2)
(func $write (param $fd i32) (param $at i32) (param $length i32)
  (i32.store (i32.const 0) (local.get $at))
  (i32.store (i32.const 4) (local.get $length))
  (drop (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 16))))
(func $sleep_ms (param $ms i64)
  (memory.fill (i32.const 64) (i32.const 0) (i32.const 96))
  (i32.store (i32.const 80) (i32.const 1))
  (i64.store (i32.const 88) (i64.mul (local.get $ms) (i64.const 1000000)))
  (drop (call $poll_oneoff (i32.const 64) (i32.const 112) (i32.const 1) (i32.const 16))))
(func $sleep_for_ever
  (loop $again (call $sleep_ms (i64.const 1000)) (br $again)))
"""


def module(start: str, *, more: str = "", imports: str = "") -> bytes:
    """A WASI 0.1 command whose `_start` is this text."""
    body = textwrap.indent(start, "  ")
    return wat(f'{_IMPORTS}{imports}{_COMMON}{LENGTH}{more}\n(func (export "_start")\n{body})')


def wat(text: str) -> bytes:
    """Compiles the inside of a `(module ...)`."""
    return bytes(wasmtime.wat2wasm(f"(module {text})"))


def prints(text: str, *, stderr: str = "", exit_code: int = 0) -> bytes:
    """Writes to stdout, then to stderr, and exits."""
    out, err = text.encode(), stderr.encode()
    data = f'(data (i32.const 256) "{_escaped(out)}{_escaped(err)}")'
    start = f"(call $write (i32.const 1) (i32.const 256) (i32.const {len(out)}))\n"
    if err:
        at = 256 + len(out)
        start += f"(call $write (i32.const 2) (i32.const {at}) (i32.const {len(err)}))\n"
    return module(f"{start}(call $proc_exit (i32.const {exit_code}))", more=data)


def exits(code: int) -> bytes:
    """Exits without a word."""
    return module(f"(call $proc_exit (i32.const {code}))")


def sleeps(text: str = "asleep\n") -> bytes:
    """Says one thing and sleeps for ever."""
    content = text.encode()
    return module(
        f"(call $write (i32.const 1) (i32.const 256) (i32.const {len(content)}))\n"
        "(call $sleep_for_ever)",
        more=f'(data (i32.const 256) "{_escaped(content)}")',
    )


def counts(every_ms: int, *, up_to: int | None = None, exit_code: int = 0) -> bytes:
    """Writes `line 00000001`, `line 00000002`, ...; for ever, or up to a number."""
    last = (1 << 31) - 1 if up_to is None else up_to
    pause = f"(call $sleep_ms (i64.const {every_ms}))" if every_ms else ""
    return module(
        f"""
(local $n i32)
(loop $next
  (call $increment)
  (local.set $n (i32.add (local.get $n) (i32.const 1)))
  (call $write (i32.const 1) (i32.const 256) (i32.const 14))
  {pause}
  (br_if $next (i32.lt_u (local.get $n) (i32.const {last}))))
(call $proc_exit (i32.const {exit_code}))""",
        more=_COUNTER,
    )


def counts_by_name(every_ms: int) -> bytes:
    """Writes `NAME 00000001`, ... for ever; the name is its argv[0]. Each line is one write.

    With arguments, whatever they are, it is a check: it ends with 0 at once.
    """
    return module(
        f"""
(local $length i32)
(drop (call $args_sizes_get (i32.const 24) (i32.const 28)))
(if (i32.gt_u (i32.load (i32.const 24)) (i32.const 1)) (then (call $proc_exit (i32.const 0))))
(drop (call $args_get (i32.const 4096) (i32.const 16384)))
(local.set $length (i32.sub (i32.load (i32.const 28)) (i32.const 1)))
(memory.copy (i32.sub (i32.const 260) (local.get $length)) (i32.const 16384) (local.get $length))
(loop $next
  (call $increment)
  (call $write (i32.const 1)
    (i32.sub (i32.const 260) (local.get $length))
    (i32.add (i32.const 10) (local.get $length)))
  (call $sleep_ms (i64.const {every_ms}))
  (br $next))""",
        more=_COUNTER,
    )


def counts_widely(every_ms: int, *, up_to: int, width: int) -> bytes:
    """As `counts`, each line filled up with `x` to this many bytes; each is one write."""
    return module(
        f"""
(local $n i32)
(memory.fill (i32.const 65536) (i32.const 120) (i32.const {width}))
(i32.store8 (i32.const {65536 + width - 1}) (i32.const 10))
(loop $next
  (call $increment)
  (memory.copy (i32.const 65536) (i32.const 256) (i32.const 13))
  (local.set $n (i32.add (local.get $n) (i32.const 1)))
  (call $write (i32.const 1) (i32.const 65536) (i32.const {width}))
  (call $sleep_ms (i64.const {every_ms}))
  (br_if $next (i32.lt_u (local.get $n) (i32.const {up_to}))))""",
        more=_COUNTER,
    )


def talks() -> bytes:
    """Writes 41 MB in lines of 100 bytes at once, then sleeps: the guest of the benchmarks."""
    text = TALKER.read_text()
    return wat(text[text.index("(module") + len("(module") : text.rindex(")")])


# Eight decimal digits at 261..268, added to in place from the right.
_COUNTER = r"""
(data (i32.const 256) "line 00000000\n")
(func $increment
  (local $at i32)
  (local.set $at (i32.const 268))
  (loop $carry
    (i32.store8 (local.get $at) (i32.add (i32.load8_u (local.get $at)) (i32.const 1)))
    (if (i32.gt_u (i32.load8_u (local.get $at)) (i32.const 57))
      (then
        (i32.store8 (local.get $at) (i32.const 48))
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (br_if $carry (i32.ge_u (local.get $at) (i32.const 261)))))))
"""


def numbered(first: int, last: int) -> str:
    """The lines of `counts` from one number to another."""
    return "".join(f"line {number:08}\n" for number in range(first, last + 1))


def shows_arguments() -> bytes:
    """Writes its arguments, one a line, argv[0] first."""
    return _shows("args")


def shows_environment() -> bytes:
    """Writes its environment, one NAME=VALUE a line."""
    return _shows("environ")


def _shows(what: str) -> bytes:
    return module(
        f"""
(local $at i32) (local $end i32)
(drop (call ${what}_sizes_get (i32.const 24) (i32.const 28)))
(drop (call ${what}_get (i32.const 4096) (i32.const 16384)))
(local.set $at (i32.const 16384))
(local.set $end (i32.add (i32.const 16384) (i32.load (i32.const 28))))
(block $done
  (loop $next
    (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
    (if (i32.eqz (i32.load8_u (local.get $at)))
      (then (i32.store8 (local.get $at) (i32.const 10))))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br $next)))
(call $write (i32.const 1) (i32.const 16384) (i32.load (i32.const 28)))"""
    )


def drains(*, leaves: bool) -> bytes:
    """Reads stdin to its end, says so, then leaves with 0 or stays for ever."""
    then = "(call $proc_exit (i32.const 0))" if leaves else "(call $sleep_for_ever)"
    return module(
        f"""
(call $write (i32.const 1) (i32.const 256) (i32.const 8))
(i32.store (i32.const 0) (i32.const 32768))
(block $ended
  (loop $more
    (i32.store (i32.const 0) (i32.const 32768))
    (i32.store (i32.const 4) (i32.const 512))
    (br_if $ended (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
    (br_if $more (i32.load (i32.const 16)))))
(call $write (i32.const 1) (i32.const 264) (i32.const 9))
{then}""",
        more=r'(data (i32.const 256) "waiting\ndraining\n")',
    )


def drains_at_a_file() -> bytes:
    """Says `waiting`, looks for `drain` beside its termination message, and then leaves with 5."""
    return module(
        """
(call $write (i32.const 1) (i32.const 256) (i32.const 8))
(loop $again
  (call $sleep_ms (i64.const 20))
  (br_if $again (call $path_open (i32.const 3) (i32.const 0) (i32.const 264) (i32.const 5)
    (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 24))))
(call $proc_exit (i32.const 5))""",
        more=r'(data (i32.const 256) "waiting\ndrain")',
        imports=PATH_OPEN,
    )


def traps() -> bytes:
    """Reaches an `unreachable`."""
    return module("(unreachable)")


def imports_nothing_known() -> bytes:
    """Wants an import that no runtime gives."""
    return wat('(import "nowhere" "nothing" (func)) (func (export "_start"))')


def listens() -> bytes:
    """Answers HTTP on the port that is its first argument; see the file for what it can be told."""
    return bytes(wasmtime.wat2wasm((EXAMPLES / "listener.wat").read_text()))


def has_no_start() -> bytes:
    """A valid module without `_start`."""
    return wat('(func (export "run"))')


def grows_memory() -> bytes:
    """Takes page after page, touches each, and never gives up."""
    return module(
        """
(local $page i32)
(loop $more
  (local.set $page (memory.grow (i32.const 16)))
  (if (i32.ne (local.get $page) (i32.const -1))
    (then (memory.fill
      (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1) (i32.const 1048576))))
  (br $more))"""
    )


def _escaped(content: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in content)
