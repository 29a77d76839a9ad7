package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

const prompt = "$ "

var units = map[string]time.Duration{
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}

func sh(w *world, args []string) int {
	given, operands, err := parseOptions(args[1:], "cefilnsuvxo:", nil, false)
	if err != nil {
		return w.fail(usage, "sh: %v", err)
	}
	var flags []string
	inline, interactive := false, false
	for _, one := range given {
		switch one.name {
		case "c":
			inline = true
		case "i":
			interactive = true
		case "o":
			flags = append(flags, "-o", one.value)
		case "e", "f", "n", "u", "x":
			flags = append(flags, "-"+one.name)
		}
	}
	if inline && len(operands) == 0 {
		return w.fail(usage, "sh: -c: option requires an argument")
	}
	if inline {
		script, name := operands[0], "sh"
		if operands = operands[1:]; len(operands) > 0 {
			name, operands = operands[0], operands[1:]
		}
		return runScript(w, name, strings.NewReader(script), flags, operands)
	}
	if len(operands) > 0 {
		return runFile(w, flags, operands)
	}
	return converse(w, flags, interactive || isTerminal(w.stdin))
}

func runFile(w *world, flags, operands []string) int {
	script, err := w.open(operands[0])
	if err != nil {
		return w.fail(notFound, "sh: %s: %s", operands[0], reason(err))
	}
	defer script.Close()
	return runScript(w, operands[0], script, flags, operands[1:])
}

// shellBuiltin runs what the interpreter itself has as a program: echo, test, ...
func shellBuiltin(w *world, args []string) int {
	name := path.Base(args[0]) // by its path it would be looked for here again
	return runScript(w, name, strings.NewReader(name+` "$@"`), nil, args[1:])
}

func runScript(w *world, name string, script io.Reader, flags, params []string) int {
	parsed, err := parser().Parse(script, name)
	if err != nil {
		return w.fail(usage, "%v", err)
	}
	runner, err := newRunner(w, flags, params)
	if err != nil {
		return w.fail(usage, "sh: %v", err)
	}
	return exitCode(w, runner.Run(context.Background(), parsed))
}

// converse runs what stdin says, each statement as soon as it is whole.
func converse(w *world, flags []string, interactive bool) int {
	runner, err := newRunner(w, flags, nil)
	if err != nil {
		return w.fail(usage, "sh: %v", err)
	}
	ask := func() {
		if interactive {
			fmt.Fprint(w.stderr, prompt)
		}
	}
	code := 0
	ask()
	for statements, err := range parser().InteractiveSeq(w.stdin) {
		if err != nil {
			return w.fail(usage, "sh: %v", err)
		}
		for _, each := range statements {
			code = exitCode(w, runner.Run(context.Background(), each))
			if runner.Exited() {
				return code
			}
		}
		ask()
	}
	return code
}

func parser() *syntax.Parser { return syntax.NewParser(syntax.Variant(syntax.LangBash)) }

func newRunner(w *world, flags, params []string) (*interp.Runner, error) {
	return interp.New(
		interp.Env(expand.ListEnviron(w.env...)),
		interp.StdIO(w.stdin, w.stdout, w.stderr),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return execute }),
		interp.Params(append(append(flags, "--"), params...)...),
		inFolder(w.dir),
	)
}

// inFolder is interp.Dir without its look at the folder: in a container there may be no root.
func inFolder(dir string) interp.RunnerOption {
	return func(runner *interp.Runner) error {
		runner.Dir = dir
		return nil
	}
}

// execute runs a tool as a function, in the place of a process.
func execute(ctx context.Context, args []string) error {
	in := interp.HandlerCtx(ctx)
	w := &world{
		dir:    in.Dir,
		stdin:  in.Stdin,
		stdout: in.Stdout,
		stderr: in.Stderr,
	}
	for name, variable := range in.Env.Each {
		if variable.Exported && variable.Kind == expand.String {
			w.env = append(w.env, name+"="+variable.Str)
		}
	}
	return status(run(w, args))
}

func run(w *world, args []string) int {
	found, ok := find(args[0])
	if !ok {
		return w.fail(notFound, "sh: %s: not found", args[0])
	}
	return found(w, args)
}

func status(code int) error {
	if code == 0 {
		return nil
	}
	return interp.ExitStatus(code)
}

func exitCode(w *world, err error) int {
	var status interp.ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	return w.fail(1, "sh: %v", err)
}

func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	if !ok {
		return false
	}
	seen, err := file.Stat()
	return err == nil && seen.Mode()&os.ModeCharDevice != 0 && seen.Mode()&os.ModeDevice != 0
}

func env(w *world, args []string) int {
	given, operands, err := parseOptions(args[1:], "iu:0", nil, false)
	if err != nil {
		return w.fail(125, "env: %v", err)
	}
	inner, end := *w, "\n"
	for _, one := range given {
		switch one.name {
		case "i":
			inner.env = nil
		case "u":
			inner.env = without(inner.env, one.value)
		case "0":
			end = "\x00"
		}
	}
	for len(operands) > 0 && strings.Contains(operands[0], "=") {
		name, _, _ := strings.Cut(operands[0], "=")
		inner.env = append(without(inner.env, name), operands[0])
		operands = operands[1:]
	}
	if len(operands) == 0 {
		for _, each := range inner.env {
			w.printf("%s%s", each, end)
		}
		return 0
	}
	if _, ok := find(operands[0]); !ok {
		return w.fail(notFound, "env: '%s': No such file or directory", operands[0])
	}
	return run(&inner, operands)
}

func without(env []string, name string) (kept []string) {
	for _, each := range env {
		if !strings.HasPrefix(each, name+"=") {
			kept = append(kept, each)
		}
	}
	return kept
}

func sleep(w *world, args []string) int {
	if len(args) < 2 {
		return w.fail(1, "sleep: missing operand")
	}
	var whole time.Duration
	for _, text := range args[1:] {
		unit := time.Second
		number := strings.TrimRight(text, "smhd")
		if suffix := text[len(number):]; suffix != "" {
			unit = units[suffix]
		}
		value, err := strconv.ParseFloat(number, 64)
		if err != nil || value < 0 || unit == 0 {
			return w.fail(1, "sleep: invalid time interval '%s'", text)
		}
		whole += time.Duration(value * float64(unit))
	}
	time.Sleep(whole)
	return 0
}
