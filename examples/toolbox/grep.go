package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// search is what a grep looks for, and how it tells.
type search struct {
	pattern                                      *regexp.Regexp
	invert, count, number, list, quiet, only     bool
	hideErrors, recursive, withName, withoutName bool
	most                                         int
}

func grep(w *world, args []string) int {
	long := map[string]string{
		"ignore-case": "i", "invert-match": "v", "count": "c", "line-number": "n", "quiet": "q",
		"files-with-matches": "l", "fixed-strings": "F", "extended-regexp": "E", "regexp": "e",
		"word-regexp": "w", "line-regexp": "x", "only-matching": "o", "recursive": "r",
		"no-messages": "s", "no-filename": "h", "with-filename": "H", "max-count": "m", "color": "y",
	}
	given, operands, err := parseOptions(args[1:], "EFGivcnlqowxrRshHe:m:y", long, true)
	if err != nil {
		return w.fail(usage, "grep: %v", err)
	}
	wanted, patterns, err := parseSearch(given)
	if err != nil {
		return w.fail(usage, "grep: %v", err)
	}
	if patterns == nil {
		if len(operands) == 0 {
			return w.fail(usage, "Usage: grep [OPTION]... PATTERNS [FILE]...")
		}
		patterns, operands = operands[:1], operands[1:]
	}
	wanted.pattern, err = compile(given, patterns)
	if err != nil {
		return w.fail(usage, "grep: %v", err)
	}
	return wanted.run(w, operands)
}

func parseSearch(given []option) (wanted search, patterns []string, err error) {
	wanted.most = -1
	switches := map[string]*bool{
		"v": &wanted.invert, "c": &wanted.count, "n": &wanted.number, "l": &wanted.list,
		"q": &wanted.quiet, "o": &wanted.only, "s": &wanted.hideErrors, "r": &wanted.recursive,
		"R": &wanted.recursive, "h": &wanted.withoutName, "H": &wanted.withName,
	}
	for _, one := range given {
		if on := switches[one.name]; on != nil {
			*on = true
		}
		switch one.name {
		case "e":
			patterns = append(patterns, one.value)
		case "m":
			if wanted.most, err = strconv.Atoi(one.value); err != nil {
				return wanted, nil, fmt.Errorf("invalid max count")
			}
		}
	}
	return wanted, patterns, nil
}

func compile(given []option, patterns []string) (*regexp.Regexp, error) {
	on := map[string]bool{}
	for _, one := range given {
		on[one.name] = true
	}
	var each []string
	for _, pattern := range strings.Split(strings.Join(patterns, "\n"), "\n") {
		switch {
		case on["F"]:
			pattern = regexp.QuoteMeta(pattern)
		case !on["E"]:
			pattern = fromBasic(pattern)
		}
		each = append(each, "(?:"+pattern+")")
	}
	whole := strings.Join(each, "|")
	if on["w"] {
		whole = `\b(?:` + whole + `)\b`
	}
	if on["x"] {
		whole = `^(?:` + whole + `)$`
	}
	if on["i"] {
		whole = "(?i)" + whole
	}
	return regexp.Compile(whole)
}

// fromBasic turns a basic regular expression into one of Go: there a backslash takes the meaning
// from a bracket, here it gives it.
func fromBasic(pattern string) string {
	var out strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch letter := pattern[i]; {
		case letter == '[':
			end := bracketEnd(pattern, i)
			out.WriteString(strings.ReplaceAll(pattern[i:end], `\`, `\\`))
			i = end - 1
		case letter == '\\' && i+1 < len(pattern):
			i++
			if !strings.ContainsRune("(){}|+?", rune(pattern[i])) {
				out.WriteByte('\\')
			}
			out.WriteByte(pattern[i])
		case letter == '*' && i == 0, strings.ContainsRune("(){}|+?", rune(letter)):
			out.WriteByte('\\')
			out.WriteByte(letter)
		default:
			out.WriteByte(letter)
		}
	}
	return out.String()
}

func bracketEnd(pattern string, start int) int {
	i := start + 1
	if i < len(pattern) && pattern[i] == '^' {
		i++
	}
	if i < len(pattern) && pattern[i] == ']' {
		i++
	}
	for ; i < len(pattern); i++ {
		if strings.HasPrefix(pattern[i:], "[:") {
			if end := strings.Index(pattern[i:], ":]"); end > 0 {
				i += end + 1
				continue
			}
		}
		if pattern[i] == ']' {
			return i + 1
		}
	}
	return len(pattern)
}

func (s search) run(w *world, names []string) int {
	if len(names) == 0 {
		names = []string{map[bool]string{true: ".", false: "-"}[s.recursive]}
	}
	s.withName = (s.withName || len(names) > 1 || s.recursive) && !s.withoutName
	matched, failed := false, false
	for _, name := range names {
		err := s.each(w, name, func(file string, in io.Reader) error {
			found, err := s.file(w, file, in)
			matched = matched || found
			return err
		})
		if isClosed(err) {
			break
		}
		if err != nil {
			failed = true
			if !s.hideErrors {
				w.fail(usage, "grep: %s: %s", name, reason(err))
			}
		}
		if matched && s.quiet {
			return 0
		}
	}
	switch {
	case failed:
		return usage
	case matched:
		return 0
	}
	return 1
}

// each gives the file of that name, or every one below it.
func (s search) each(w *world, name string, use func(string, io.Reader) error) error {
	info, err := os.Stat(w.path(name))
	if !s.recursive || name == "-" || err != nil || !info.IsDir() {
		in, err := w.open(name)
		if err != nil {
			return err
		}
		defer in.Close()
		return use(name, in)
	}
	root := w.path(name)
	return filepath.WalkDir(root, func(at string, found fs.DirEntry, err error) error {
		if err != nil || !found.Type().IsRegular() {
			return err
		}
		in, err := os.Open(at)
		if err != nil {
			return err
		}
		defer in.Close()
		return use(path.Join(name, strings.TrimPrefix(at, root)), in)
	})
}

func (s search) file(w *world, name string, in io.Reader) (bool, error) {
	number, hits := 0, 0
	err := eachLine(in, func(line []byte) error {
		number++
		line = bytes.TrimSuffix(line, []byte("\n"))
		if s.pattern.Match(line) == s.invert {
			return nil
		}
		hits++
		if s.quiet || s.list {
			return io.EOF
		}
		if !s.count {
			if err := s.tell(w, name, number, line); err != nil {
				return err
			}
		}
		if hits == s.most {
			return io.EOF
		}
		return nil
	})
	if err != nil && err != io.EOF {
		return hits > 0, err
	}
	if s.list && hits > 0 && !s.quiet {
		w.printf("%s\n", name)
	} else if s.count && !s.quiet && !s.list {
		w.printf("%s%d\n", s.prefix(name, 0), hits)
	}
	return hits > 0, nil
}

func (s search) tell(w *world, name string, number int, line []byte) error {
	if !s.only {
		_, err := fmt.Fprintf(w.stdout, "%s%s\n", s.prefix(name, number), line)
		return err
	}
	for _, part := range s.pattern.FindAll(line, -1) {
		if _, err := fmt.Fprintf(w.stdout, "%s%s\n", s.prefix(name, number), part); err != nil {
			return err
		}
	}
	return nil
}

func (s search) prefix(name string, number int) string {
	text := ""
	if s.withName {
		if name == "-" {
			name = "(standard input)"
		}
		text = name + ":"
	}
	if s.number && number > 0 {
		text += strconv.Itoa(number) + ":"
	}
	return text
}
