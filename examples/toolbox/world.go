package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

const (
	usage    = 2
	notFound = 127
)

// world is what one run of a tool sees: several run side by side in a pipe of the shell.
type world struct {
	dir            string
	env            []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// tool is one program; args[0] is its name.
type tool func(w *world, args []string) int

// tools is filled by init: sh, which is one of them, looks into it.
var tools map[string]tool

func init() {
	tools = map[string]tool{
		"[":     shellBuiltin,
		"cat":   cat,
		"echo":  shellBuiltin,
		"env":   env,
		"false": shellBuiltin,
		"grep":  grep,
		"head":  head,
		"ls":    ls,
		"pwd":   shellBuiltin,
		"sh":    sh,
		"sleep": sleep,
		"tail":  tail,
		"tar":   tarTool,
		"test":  shellBuiltin,
		"true":  shellBuiltin,
		"wc":    wc,
	}
}

func names() []string {
	var all []string
	for name := range tools {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// find looks where a system would have these programs: a path elsewhere names another one.
func find(command string) (tool, bool) {
	folder, name := path.Split(command)
	switch folder {
	case "", "/bin/", "/usr/bin/", "/usr/local/bin/":
		found, ok := tools[name]
		return found, ok
	}
	return nil, false
}

func (w *world) path(name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	return path.Join(w.dir, name)
}

// open gives the file of that name; "-" is stdin.
func (w *world) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(w.stdin), nil
	}
	file, err := os.Open(w.path(name))
	if err != nil {
		return nil, err
	}
	if seen, err := file.Stat(); err == nil && seen.IsDir() {
		file.Close()
		return nil, syscall.EISDIR
	}
	return file, nil
}

func (w *world) printf(format string, values ...any) { fmt.Fprintf(w.stdout, format, values...) }

func (w *world) fail(code int, format string, values ...any) int {
	fmt.Fprintf(w.stderr, format+"\n", values...)
	return code
}

// reason is the system's word for an error, without the path that callers name themselves.
func reason(err error) string {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EBADF) {
		return "No such file or directory" // WASI answers EBADF where no folder is given at all
	}
	var number syscall.Errno
	if !errors.As(err, &number) {
		return err.Error()
	}
	text := number.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// isClosed says whether nobody reads what is written: a tool ends then, silently.
func isClosed(err error) bool {
	return errors.Is(err, io.ErrClosedPipe) || errors.Is(err, syscall.EPIPE)
}
