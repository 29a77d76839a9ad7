package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const followInterval = 200 * time.Millisecond

func cat(w *world, args []string) int {
	given, files, err := parseOptions(args[1:], "nu", nil, true)
	if err != nil {
		return w.fail(1, "cat: %v", err)
	}
	numbered := false
	for _, one := range given {
		numbered = numbered || one.name == "n"
	}
	line := 0
	return eachFile(w, "cat", files, func(_ string, in io.Reader) error {
		if !numbered {
			_, err := io.Copy(w.stdout, in)
			return err
		}
		return eachLine(in, func(text []byte) error {
			line++
			_, err := fmt.Fprintf(w.stdout, "%6d\t%s", line, text)
			return err
		})
	})
}

// eachFile gives every file to use, stdin where none is named; it returns 1 if one fails.
func eachFile(w *world, tool string, files []string, use func(string, io.Reader) error) int {
	if len(files) == 0 {
		files = []string{"-"}
	}
	code := 0
	for _, name := range files {
		in, err := w.open(name)
		if err == nil {
			err = use(name, in)
			in.Close()
		}
		if isClosed(err) {
			return 1
		}
		if err != nil {
			code = w.fail(1, "%s: %s: %s", tool, name, reason(err))
		}
	}
	return code
}

// eachLine gives every line with its end; the last may have none.
func eachLine(in io.Reader, use func([]byte) error) error {
	buffered := bufio.NewReaderSize(in, 64*1024)
	for {
		line, err := buffered.ReadBytes('\n')
		if len(line) > 0 {
			if failed := use(line); failed != nil {
				return failed
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// extent is how much of a file head and tail show.
type extent struct {
	count     int64
	bytes     bool
	fromStart bool // +N: from the Nth on
	quiet     bool
	verbose   bool
	follow    bool
}

func parseExtent(args []string, letters string) (extent, []string, error) {
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && unicode.IsDigit(rune(args[0][1])) {
		args = append([]string{"-n" + args[0][1:]}, args[1:]...)
	}
	long := map[string]string{"lines": "n", "bytes": "c", "quiet": "q", "follow": "f"}
	given, files, err := parseOptions(args, letters, long, true)
	wanted := extent{count: 10}
	for _, one := range given {
		switch one.name {
		case "q":
			wanted.quiet = true
		case "v":
			wanted.verbose = true
		case "f", "F":
			wanted.follow = true
		default:
			wanted.bytes = one.name == "c"
			wanted.fromStart = strings.HasPrefix(one.value, "+")
			number := strings.TrimPrefix(one.value, "+")
			wanted.count, err = strconv.ParseInt(strings.TrimPrefix(number, "-"), 10, 64)
			if err != nil {
				unit := map[bool]string{true: "bytes", false: "lines"}[wanted.bytes]
				return wanted, nil, fmt.Errorf("invalid number of %s: '%s'", unit, one.value)
			}
		}
	}
	return wanted, files, err
}

func (e extent) title(w *world, files []string) func(string) {
	shown := 0
	return func(name string) {
		if (len(files) > 1 && !e.quiet) || e.verbose {
			gap := map[bool]string{true: "\n", false: ""}[shown > 0]
			name = map[bool]string{true: "standard input", false: name}[name == "-"]
			w.printf("%s==> %s <==\n", gap, name)
		}
		shown++
	}
}

func head(w *world, args []string) int {
	wanted, files, err := parseExtent(args[1:], "n:c:qv")
	if err != nil {
		return w.fail(1, "head: %v", err)
	}
	title := wanted.title(w, files)
	return eachFile(w, "head", files, func(name string, in io.Reader) error {
		title(name)
		if wanted.bytes {
			_, err := io.Copy(w.stdout, io.LimitReader(in, wanted.count))
			return err
		}
		left := wanted.count
		if left == 0 {
			return nil
		}
		err := eachLine(in, func(line []byte) error {
			if _, err := w.stdout.Write(line); err != nil {
				return err
			}
			if left--; left == 0 {
				return io.EOF
			}
			return nil
		})
		if err == io.EOF {
			return nil
		}
		return err
	})
}

func tail(w *world, args []string) int {
	wanted, files, err := parseExtent(args[1:], "n:c:qvfF")
	if err != nil {
		return w.fail(1, "tail: %v", err)
	}
	title := wanted.title(w, files)
	return eachFile(w, "tail", files, func(name string, in io.Reader) error {
		title(name)
		if err := showTail(w, in, wanted); err != nil || !wanted.follow || name == "-" {
			return err
		}
		for {
			if _, err := io.Copy(w.stdout, in); err != nil {
				return err
			}
			time.Sleep(followInterval)
		}
	})
}

func showTail(w *world, in io.Reader, wanted extent) error {
	switch {
	case wanted.fromStart && wanted.bytes:
		if _, err := io.CopyN(io.Discard, in, max(wanted.count-1, 0)); err != nil {
			return ignoreEnd(err)
		}
		_, err := io.Copy(w.stdout, in)
		return err
	case wanted.fromStart:
		number := int64(0)
		return eachLine(in, func(line []byte) error {
			if number++; number < wanted.count {
				return nil
			}
			_, err := w.stdout.Write(line)
			return err
		})
	case wanted.bytes:
		return lastBytes(w, in, int(wanted.count))
	}
	return lastLines(w, in, int(wanted.count))
}

func ignoreEnd(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func lastBytes(w *world, in io.Reader, count int) error {
	var kept []byte
	part := make([]byte, 64*1024)
	for {
		n, err := in.Read(part)
		kept = append(kept, part[:n]...)
		if surplus := len(kept) - count; surplus > 0 {
			kept = append(kept[:0], kept[surplus:]...)
		}
		if err == io.EOF {
			_, err = w.stdout.Write(kept)
			return err
		}
		if err != nil {
			return err
		}
	}
}

func lastLines(w *world, in io.Reader, count int) error {
	var kept [][]byte
	err := eachLine(in, func(line []byte) error {
		kept = append(kept, line)
		if len(kept) > count {
			kept[0] = nil
			kept = kept[1:]
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = w.stdout.Write(bytes.Join(kept, nil))
	return err
}

type counts struct{ lines, words, chars, bytes int64 }

func wc(w *world, args []string) int {
	given, files, err := parseOptions(args[1:], "lwcm", nil, true)
	if err != nil {
		return w.fail(1, "wc: %v", err)
	}
	shown := ""
	for _, one := range given {
		shown += one.name
	}
	if shown == "" {
		shown = "lwc"
	}
	single := len(shown) == 1 && len(files) < 2
	var total counts
	code := eachFile(w, "wc", files, func(name string, in io.Reader) error {
		found, err := count(in)
		if err != nil {
			return err
		}
		total.lines += found.lines
		total.words += found.words
		total.chars += found.chars
		total.bytes += found.bytes
		if len(files) == 0 {
			name = ""
		}
		return showCounts(w, found, shown, name, single)
	})
	if len(files) > 1 {
		showCounts(w, total, shown, "total", false)
	}
	return code
}

func count(in io.Reader) (found counts, err error) {
	err = eachLine(in, func(line []byte) error {
		if line[len(line)-1] == '\n' {
			found.lines++
		}
		found.words += int64(len(bytes.Fields(line)))
		found.chars += int64(utf8.RuneCount(line))
		found.bytes += int64(len(line))
		return nil
	})
	return found, err
}

func showCounts(w *world, found counts, shown, name string, single bool) error {
	var columns []string
	for _, each := range []struct {
		letter string
		value  int64
	}{{"l", found.lines}, {"w", found.words}, {"m", found.chars}, {"c", found.bytes}} {
		if !strings.Contains(shown, each.letter) {
			continue
		}
		format := map[bool]string{true: "%d", false: "%7d"}[single]
		columns = append(columns, fmt.Sprintf(format, each.value))
	}
	if name != "" {
		columns = append(columns, name)
	}
	_, err := fmt.Fprintln(w.stdout, strings.Join(columns, " "))
	return err
}
