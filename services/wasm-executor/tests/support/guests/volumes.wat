;; Does one thing in the preopened folder that its first argument names (exactly), and exits with the
;; error number of it; with 99 where there is no such folder. The second argument says what:
;;   r PATH        writes the file to stdout
;;   w PATH TEXT   makes the file, or truncates it, and writes the text
;;   s PATH TARGET makes a symlink
;;   c PATH TEXT   waits until the file does not begin with the text's first character; then as r
;;   l PATH FOLDER links the file into another preopened folder, then moves it there; writes the error
;;                 numbers to stdout
;;   x PATH PATH   tries all that changes a file (the first) or its folder, in an order in which all
;;                 of it works where it may; writes the error numbers to stdout
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name"
    (func $prestat_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size"
    (func $set_size (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_set_times"
    (func $set_times (param i32 i32 i32 i32 i64 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_link"
    (func $path_link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename"
    (func $path_rename (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink"
    (func $path_symlink (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file"
    (func $path_unlink (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory"
    (func $path_mkdir (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_remove_directory"
    (func $path_rmdir (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 3)
  (data (i32.const 512) "made-by-the-guest")
  (func $length (param $at i32) (result i32) (local $end i32)
    (local.set $end (local.get $at))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (i32.load8_u (local.get $end))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    (i32.sub (local.get $end) (local.get $at)))
  (func $argument (param $number i32) (result i32)
    (i32.load (i32.add (i32.const 1024) (i32.mul (local.get $number) (i32.const 4)))))
  (func $same (param $a i32) (param $b i32) (param $size i32) (result i32)
    (block $different
      (loop $next
        (if (i32.eqz (local.get $size)) (then (return (i32.const 1))))
        (br_if $different
          (i32.ne (i32.load8_u (local.get $a)) (i32.load8_u (local.get $b))))
        (local.set $a (i32.add (local.get $a) (i32.const 1)))
        (local.set $b (i32.add (local.get $b) (i32.const 1)))
        (local.set $size (i32.sub (local.get $size) (i32.const 1)))
        (br $next)))
    (i32.const 0))
  (func $folder (param $name i32) (result i32) (local $fd i32) (local $size i32)
    (local.set $fd (i32.const 3))
    (loop $next
      (if (call $prestat (local.get $fd) (i32.const 64)) (then (call $proc_exit (i32.const 99))))
      (local.set $size (i32.load (i32.const 68)))
      (drop (call $prestat_name (local.get $fd) (i32.const 4096) (local.get $size)))
      (if (i32.eq (local.get $size) (call $length (local.get $name)))
        (then (if (call $same (i32.const 4096) (local.get $name) (local.get $size))
          (then (return (local.get $fd))))))
      (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
      (br $next))
    (unreachable))
  (func $open (param $folder i32) (param $path i32) (param $flags i32) (param $rights i64)
    (result i32)
    (call $path_open (local.get $folder) (i32.const 1)
      (local.get $path) (call $length (local.get $path))
      (local.get $flags) (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 16)))
  (func $require (param $error i32)
    (if (local.get $error) (then (call $proc_exit (local.get $error)))))
  (func $write (param $fd i32) (param $at i32) (param $size i32) (result i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $size))
    (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
  (func $say (param $error i32)
    (i32.store8 (i32.const 32)
      (i32.add (i32.const 48) (i32.div_u (local.get $error) (i32.const 10))))
    (i32.store8 (i32.const 33)
      (i32.add (i32.const 48) (i32.rem_u (local.get $error) (i32.const 10))))
    (i32.store8 (i32.const 34) (i32.const 32))
    (drop (call $write (i32.const 1) (i32.const 32) (i32.const 3))))
  (func $load (param $folder i32) (param $path i32) (result i32)
    (call $require (call $open (local.get $folder) (local.get $path) (i32.const 0) (i64.const 2)))
    (i32.store (i32.const 0) (i32.const 65536))
    (i32.store (i32.const 4) (i32.const 131072))
    (call $require (call $fd_read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1)
      (i32.const 8)))
    (call $require (call $fd_close (i32.load (i32.const 16))))
    (i32.load (i32.const 8)))
  (func $try_all (param $folder i32) (param $path i32) (param $other i32)
    (local $size i32) (local $other_size i32) (local $error i32)
    (local.set $size (call $length (local.get $path)))
    (local.set $other_size (call $length (local.get $other)))
    ;; open to write; where that fails, to read; write and truncate through it
    (local.set $error
      (call $open (local.get $folder) (local.get $path) (i32.const 0) (i64.const 4194370)))
    (call $say (local.get $error))
    (if (local.get $error)
      (then (call $require
        (call $open (local.get $folder) (local.get $path) (i32.const 0) (i64.const 2)))))
    (call $say (call $write (i32.load (i32.const 16)) (i32.const 512) (i32.const 4)))
    (call $say (call $set_size (i32.load (i32.const 16)) (i64.const 1)))
    ;; truncate while opening, with and without the wish to write
    (call $say (call $open (local.get $folder) (local.get $path) (i32.const 8) (i64.const 66)))
    (call $say (call $open (local.get $folder) (local.get $path) (i32.const 8) (i64.const 2)))
    (call $say (call $set_times (local.get $folder) (i32.const 1) (local.get $path)
      (local.get $size) (i64.const 0) (i64.const 0) (i32.const 5)))
    (call $say (call $path_link (local.get $folder) (i32.const 0) (local.get $path)
      (local.get $size) (local.get $folder) (local.get $other) (local.get $other_size)))
    (call $say (call $path_rename (local.get $folder) (local.get $path) (local.get $size)
      (local.get $folder) (local.get $other) (local.get $other_size)))
    (call $say (call $path_unlink (local.get $folder) (local.get $path) (local.get $size)))
    ;; make a file, a folder, a symlink
    (call $say (call $open (local.get $folder) (local.get $path) (i32.const 5) (i64.const 66)))
    (call $say (call $path_mkdir (local.get $folder) (i32.const 512) (i32.const 17)))
    (call $say (call $path_rmdir (local.get $folder) (i32.const 512) (i32.const 17)))
    (call $say (call $path_symlink (local.get $path) (local.get $size)
      (local.get $folder) (i32.const 512) (i32.const 17))))
  (func (export "_start") (local $folder i32) (local $what i32) (local $path i32)
    (local $text i32) (local $size i32)
    (call $require (call $args (i32.const 1024) (i32.const 2048)))
    (local.set $folder (call $folder (call $argument (i32.const 1))))
    (local.set $what (i32.load8_u (call $argument (i32.const 2))))
    (local.set $path (call $argument (i32.const 3)))
    (local.set $text (call $argument (i32.const 4)))
    (if (i32.eq (local.get $what) (i32.const 114)) ;; r
      (then (call $require (call $write (i32.const 1) (i32.const 65536)
        (call $load (local.get $folder) (local.get $path))))))
    (if (i32.eq (local.get $what) (i32.const 119)) ;; w
      (then
        (call $require (call $open (local.get $folder) (local.get $path) (i32.const 9)
          (i64.const 64)))
        (call $require (call $write (i32.load (i32.const 16)) (local.get $text)
          (call $length (local.get $text))))))
    (if (i32.eq (local.get $what) (i32.const 115)) ;; s
      (then (call $require (call $path_symlink (local.get $text)
        (call $length (local.get $text)) (local.get $folder) (local.get $path)
        (call $length (local.get $path))))))
    (if (i32.eq (local.get $what) (i32.const 99)) ;; c
      (then
        (loop $again
          (local.set $size (call $load (local.get $folder) (local.get $path)))
          (br_if $again (call $same (i32.const 65536) (local.get $text) (i32.const 1))))
        (call $require (call $write (i32.const 1) (i32.const 65536) (local.get $size)))))
    (if (i32.eq (local.get $what) (i32.const 108)) ;; l
      (then
        (call $say (call $path_link (local.get $folder) (i32.const 0) (local.get $path)
          (call $length (local.get $path)) (call $folder (local.get $text))
          (i32.const 512) (i32.const 4)))
        (call $say (call $path_rename (local.get $folder) (local.get $path)
          (call $length (local.get $path)) (call $folder (local.get $text))
          (i32.const 512) (i32.const 17)))))
    (if (i32.eq (local.get $what) (i32.const 120)) ;; x
      (then (call $try_all (local.get $folder) (local.get $path) (local.get $text))))))
