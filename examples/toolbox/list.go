package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

type listing struct {
	long, all, almostAll, folder, recursive, byTime, reversed, classify bool
}

func ls(w *world, args []string) int {
	long := map[string]string{"all": "a", "almost-all": "A", "recursive": "R", "color": "1"}
	given, paths, err := parseOptions(args[1:], "1aAdFhlnRrt", long, true)
	if err != nil {
		return w.fail(usage, "ls: %v", err)
	}
	var wanted listing
	switches := map[string]*bool{
		"a": &wanted.all, "A": &wanted.almostAll, "d": &wanted.folder, "F": &wanted.classify,
		"l": &wanted.long, "n": &wanted.long, "R": &wanted.recursive, "r": &wanted.reversed,
		"t": &wanted.byTime,
	}
	for _, one := range given {
		if on := switches[one.name]; on != nil {
			*on = true
		}
	}
	if len(paths) == 0 {
		paths = []string{"."}
	}
	return wanted.show(w, paths)
}

type entry struct {
	name string
	info fs.FileInfo
	path string
}

func (l listing) show(w *world, paths []string) int {
	var files, folders []entry
	code := 0
	for _, name := range paths {
		at := w.path(name)
		info, err := l.stat(at)
		if below := namesBelow(givenFolders(), at); err != nil && len(below) > 0 {
			w.printf("%s\n", strings.Join(below, "\n"))
		} else if err != nil {
			code = w.fail(usage, "ls: cannot access '%s': %s", name, reason(err))
		} else if info.IsDir() && !l.folder {
			folders = append(folders, entry{name, info, at})
		} else {
			files = append(files, entry{name, info, at})
		}
	}
	l.print(w, files)
	for i, each := range folders {
		if len(paths) > 1 || l.recursive {
			gap := map[bool]string{true: "\n", false: ""}[i > 0 || len(files) > 0]
			w.printf("%s%s:\n", gap, each.name)
		}
		code = max(code, l.showFolder(w, each))
	}
	return code
}

// stat follows a link that is named, as ls does without -l.
func (l listing) stat(at string) (fs.FileInfo, error) {
	if l.long {
		return os.Lstat(at)
	}
	info, err := os.Stat(at)
	if err != nil {
		return os.Lstat(at)
	}
	return info, nil
}

func (l listing) showFolder(w *world, folder entry) int {
	found, err := os.ReadDir(folder.path)
	if err != nil {
		return w.fail(usage, "ls: cannot open directory '%s': %s", folder.name, reason(err))
	}
	var entries []entry
	if l.all {
		entries = append(entries, entry{".", folder.info, folder.path}, entry{"..", folder.info, folder.path})
	}
	for _, each := range found {
		if strings.HasPrefix(each.Name(), ".") && !l.all && !l.almostAll {
			continue
		}
		at := path.Join(folder.path, each.Name())
		if info, err := os.Lstat(at); err == nil { // it may be gone by now
			entries = append(entries, entry{each.Name(), info, at})
		}
	}
	l.print(w, entries)
	code := 0
	for _, each := range entries {
		if l.recursive && each.info.IsDir() && each.name != "." && each.name != ".." {
			each.name = path.Join(folder.name, each.name)
			w.printf("\n%s:\n", each.name)
			code = max(code, l.showFolder(w, each))
		}
	}
	return code
}

func (l listing) print(w *world, entries []entry) {
	slices.SortStableFunc(entries, func(a, b entry) int {
		order := strings.Compare(a.name, b.name)
		if l.byTime {
			order = b.info.ModTime().Compare(a.info.ModTime())
		}
		if l.reversed {
			order = -order
		}
		return order
	})
	for _, each := range entries {
		w.printf("%s\n", l.line(each))
	}
}

func (l listing) line(of entry) string {
	name := of.name
	if l.classify {
		name += mark(of.info.Mode())
	}
	if !l.long {
		return name
	}
	if of.info.Mode()&fs.ModeSymlink != 0 {
		if target, err := os.Readlink(of.path); err == nil {
			name += " -> " + target
		}
	}
	// WASI knows no owners and no permissions: the mode says only what a file is.
	changed := of.info.ModTime().UTC().Format(time.DateTime)
	return fmt.Sprintf("%s 1 0 0 %8d %s %s", letters(of.info.Mode()), of.info.Size(), changed, name)
}

// namesBelow is what a folder that nobody gives would hold: the way to those that are given.
func namesBelow(folders []string, at string) (names []string) {
	for _, folder := range folders {
		rest, below := strings.CutPrefix(folder, strings.TrimSuffix(at, "/")+"/")
		if name, _, _ := strings.Cut(rest, "/"); below && name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func letters(mode fs.FileMode) string {
	kind := "-"
	switch {
	case mode.IsDir():
		kind = "d"
	case mode&fs.ModeSymlink != 0:
		kind = "l"
	case mode&fs.ModeCharDevice != 0:
		kind = "c"
	case mode&fs.ModeSocket != 0:
		kind = "s"
	}
	return kind + mode.Perm().String()[1:]
}

func mark(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "/"
	case mode&fs.ModeSymlink != 0:
		return "@"
	}
	return ""
}
