// The toolbox: the small programs that people expect in a container, as one WebAssembly module.
//
// Which of them runs is what argv[0] says, or the first argument where argv[0] is the module itself:
// `ls /etc`, `toolbox ls /etc`. A guest of WASI 0.1 cannot start a process, so `sh` runs the others
// as functions in its own, pipes included.
package main

import (
	"os"
	"path"
	"runtime"
	"strings"
)

func main() {
	w := &world{
		dir:    "/",
		env:    os.Environ(),
		stdin:  os.Stdin,
		stdout: os.Stdout,
		stderr: os.Stderr,
	}
	if runtime.GOOS != "wasip1" {
		w.dir, _ = os.Getwd()
	}
	os.Exit(dispatch(w, os.Args))
}

func dispatch(w *world, args []string) int {
	if len(args) > 0 && strings.HasPrefix(path.Base(args[0]), "toolbox") {
		args = args[1:]
	}
	if len(args) == 0 {
		w.printf("%s\n", strings.Join(names(), "\n"))
		return 0
	}
	tool, found := find(args[0])
	if !found {
		return w.fail(notFound, "toolbox: %q: executable file not found in $PATH", args[0])
	}
	return tool(w, args)
}
