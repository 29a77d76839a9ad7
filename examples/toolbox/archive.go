package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

const (
	tarLetters = "cxtvmpohzOf:C:"
	tarFailed  = 2
)

var tarLong = map[string]string{
	"create": "c", "extract": "x", "get": "x", "list": "t", "verbose": "v", "touch": "m",
	"preserve-permissions": "p", "same-permissions": "p", "no-same-owner": "o",
	"no-same-permissions": "no-same-permissions", "dereference": "h", "gzip": "z",
	"to-stdout": "O", "file": "f", "directory": "C",
}

// archive is one call of tar.
type archive struct {
	w                      *world
	mode                   string
	file, folder           string
	verbose, touch, follow bool
	gzip, toStdout         bool
	toldRoot               bool
	code, members          int
}

func tarTool(w *world, args []string) int {
	given, names, err := parseOptions(withDashes(args[1:]), tarLetters, tarLong, true)
	if err != nil {
		return w.fail(tarFailed, "tar: %v", err)
	}
	a := &archive{w: w, file: "-", folder: w.dir}
	a.take(given)
	switch a.mode {
	case "c":
		err = a.create(names)
	case "x", "t":
		err = a.read(names)
	default:
		return w.fail(tarFailed, "tar: You must specify one of the '-ctx' options")
	}
	if err != nil && !isClosed(err) {
		w.fail(tarFailed, "tar: %v", err)
	}
	if err != nil {
		return tarFailed
	}
	return a.code
}

// withDashes writes options of the old style (`cf -`) as those of today.
func withDashes(args []string) []string {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return args
	}
	var today []string
	rest := args[1:]
	for _, letter := range args[0] {
		today = append(today, "-"+string(letter))
		if strings.ContainsRune("fC", letter) && len(rest) > 0 {
			today = append(today, rest[0])
			rest = rest[1:]
		}
	}
	return append(today, rest...)
}

func (a *archive) take(given []option) {
	for _, one := range given {
		switch one.name {
		case "c", "x", "t":
			a.mode = one.name
		case "f":
			a.file = one.value
		case "C":
			a.folder = (&world{dir: a.folder}).path(one.value)
		case "v":
			a.verbose = true
		case "m":
			a.touch = true
		case "h":
			a.follow = true
		case "z":
			a.gzip = true
		case "O":
			a.toStdout = true
		}
	}
}

func (a *archive) fail(format string, values ...any) {
	a.code = a.w.fail(tarFailed, "tar: "+format, values...)
}

func (a *archive) create(names []string) (err error) {
	if len(names) == 0 {
		return errors.New("Cowardly refusing to create an empty archive")
	}
	out, told := io.Writer(a.w.stdout), a.w.stderr
	if a.file != "-" {
		file, err := os.Create(a.w.path(a.file))
		if err != nil {
			return fmt.Errorf("%s: Cannot open: %s", a.file, reason(err))
		}
		defer file.Close()
		out, told = file, a.w.stdout
	}
	if a.gzip {
		zipped := gzip.NewWriter(out)
		defer func() { err = errors.Join(err, zipped.Close()) }()
		out = zipped
	}
	buffered := bufio.NewWriterSize(out, 64*1024)
	written := tar.NewWriter(buffered)
	for _, name := range names {
		if err := a.add(written, told, name); err != nil {
			return err
		}
	}
	if a.members == 0 && a.code != 0 {
		return nil // kubectl cp would take the end of an empty archive for a success
	}
	return errors.Join(written.Close(), buffered.Flush())
}

// add writes a name and all below it. What cannot be read is told and left out.
func (a *archive) add(out *tar.Writer, told io.Writer, name string) error {
	root := (&world{dir: a.folder}).path(name)
	if _, err := os.Lstat(root); err != nil {
		a.fail("%s: Cannot stat: %s", name, reason(err))
		return nil
	}
	return filepath.WalkDir(root, func(at string, _ fs.DirEntry, err error) error {
		shown := path.Clean(name)
		if rest := strings.TrimPrefix(at, root); at != root {
			shown = path.Join(shown, rest)
		}
		if err != nil {
			a.fail("%s: Cannot open: %s", shown, reason(err))
			return nil
		}
		return a.addOne(out, told, at, shown)
	})
}

func (a *archive) addOne(out *tar.Writer, told io.Writer, at, shown string) error {
	stat := os.Lstat
	if a.follow {
		stat = os.Stat
	}
	info, err := stat(at)
	if err != nil {
		a.fail("%s: Cannot stat: %s", shown, reason(err))
		return nil
	}
	var target string
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		if target, err = os.Readlink(at); err != nil {
			a.fail("%s: Cannot readlink: %s", shown, reason(err))
			return nil
		}
	case !info.IsDir() && !info.Mode().IsRegular():
		a.fail("%s: file is no regular file; not dumped", shown)
		return nil
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	header.Name = a.member(shown, info.IsDir())
	a.members++
	if a.verbose {
		fmt.Fprintln(told, header.Name)
	}
	if !info.Mode().IsRegular() {
		return out.WriteHeader(header)
	}
	return a.addContent(out, header, at, shown)
}

func (a *archive) addContent(out *tar.Writer, header *tar.Header, at, shown string) error {
	file, err := os.Open(at)
	if err != nil {
		a.fail("%s: Cannot open: %s", shown, reason(err))
		return nil
	}
	defer file.Close()
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	copied, err := io.Copy(out, io.LimitReader(file, header.Size))
	if err != nil || copied == header.Size {
		return err
	}
	a.fail("%s: File shrank by %d bytes; padding with zeros", shown, header.Size-copied)
	_, err = io.CopyN(out, zeros{}, header.Size-copied)
	return err
}

type zeros struct{}

func (zeros) Read(part []byte) (int, error) {
	clear(part)
	return len(part), nil
}

// member is a name as an archive may hold it: relative.
func (a *archive) member(shown string, isFolder bool) string {
	relative := strings.TrimLeft(shown, "/")
	if relative != shown && !a.toldRoot {
		a.toldRoot = true
		a.w.fail(0, "tar: Removing leading `/' from member names")
	}
	if relative == "" {
		relative = "."
	}
	if isFolder {
		relative += "/"
	}
	return relative
}

func (a *archive) read(names []string) error {
	in, err := a.w.open(a.file)
	if err != nil {
		return fmt.Errorf("%s: Cannot open: %s", a.file, reason(err))
	}
	defer in.Close()
	buffered := bufio.NewReaderSize(in, 64*1024)
	content := io.Reader(buffered)
	if magic, _ := buffered.Peek(2); a.gzip || string(magic) == "\x1f\x8b" {
		if content, err = gzip.NewReader(buffered); err != nil {
			return err
		}
	}
	take := a.list
	if a.mode == "x" {
		root, err := os.OpenRoot(a.folder)
		if err != nil {
			return fmt.Errorf("%s: Cannot open: %s", a.folder, reason(err))
		}
		defer root.Close()
		take = func(header *tar.Header, content io.Reader) error { return a.extract(root, header, content) }
	}
	if err := eachMember(tar.NewReader(content), names, take); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, buffered) // whoever writes to us is not to meet a closed pipe
	return err
}

func eachMember(in *tar.Reader, names []string, use func(*tar.Header, io.Reader) error) error {
	for {
		header, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("This does not look like a tar archive: %w", err)
		}
		if !isWanted(header.Name, names) {
			continue
		}
		if err := use(header, in); err != nil {
			return err
		}
	}
}

func isWanted(member string, names []string) bool {
	member = path.Clean(member)
	for _, name := range names {
		name = path.Clean(name)
		if member == name || strings.HasPrefix(member, name+"/") {
			return true
		}
	}
	return len(names) == 0
}

func (a *archive) list(header *tar.Header, _ io.Reader) error {
	if a.verbose {
		mode := letters(header.FileInfo().Mode())
		changed := header.ModTime.UTC().Format("2006-01-02 15:04")
		a.w.printf("%s %d/%d %9d %s ", mode, header.Uid, header.Gid, header.Size, changed)
	}
	_, err := fmt.Fprintln(a.w.stdout, header.Name)
	return err
}

// extract makes one member. The root lets neither names nor links lead out of it.
func (a *archive) extract(root *os.Root, header *tar.Header, content io.Reader) error {
	if a.toStdout {
		_, err := io.Copy(a.w.stdout, content)
		return err
	}
	name := path.Clean(strings.TrimLeft(header.Name, "/"))
	if strings.HasPrefix(name, "../") || name == ".." {
		a.fail("%s: Member name contains '..'", header.Name)
		return nil
	}
	if a.verbose {
		a.w.printf("%s\n", header.Name)
	}
	if err := a.make(root, name, header, content); err != nil {
		a.fail("%s: Cannot open: %s", header.Name, reason(err))
	}
	return nil
}

func (a *archive) make(root *os.Root, name string, header *tar.Header, content io.Reader) error {
	mode := header.FileInfo().Mode().Perm()
	if folder := path.Dir(name); folder != "." {
		if err := root.MkdirAll(folder, 0o777); err != nil {
			return err
		}
	}
	switch header.Typeflag {
	case tar.TypeDir:
		if name == "." {
			return nil
		}
		return root.MkdirAll(name, mode|0o700)
	case tar.TypeSymlink:
		_ = root.Remove(name)
		return root.Symlink(header.Linkname, name)
	case tar.TypeLink:
		_ = root.Remove(name)
		return root.Link(path.Clean(strings.TrimLeft(header.Linkname, "/")), name)
	case tar.TypeReg:
		return a.makeFile(root, name, header, content)
	}
	return fmt.Errorf("a member of type %q is not made here", header.Typeflag)
}

func (a *archive) makeFile(root *os.Root, name string, header *tar.Header, content io.Reader) error {
	_ = root.Remove(name) // a new file, as tar makes: who reads the old one keeps it
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	file, err := root.OpenFile(name, flags, header.FileInfo().Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if !a.touch {
		_ = root.Chtimes(name, header.ModTime, header.ModTime) // a time is not worth a failure
	}
	return nil
}
