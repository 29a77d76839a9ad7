package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ran is what a run has left.
type ran struct {
	code        int
	out, errors string
}

func (r ran) String() string { return fmt.Sprintf("%d %q %q", r.code, r.out, r.errors) }

func runIn(dir, stdin string, args ...string) ran {
	var out, errors bytes.Buffer
	w := &world{
		dir: dir, env: []string{"A=b"},
		stdin: strings.NewReader(stdin), stdout: &out, stderr: &errors,
	}
	code := dispatch(w, args)
	return ran{code, out.String(), errors.String()}
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	at := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestToolsSayAndEndAsTheOriginals(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "hosts", "127.0.0.1 localhost\n10.0.0.1 other\n10.0.0.2 other.local\n")
	write(t, dir, "numbers", "1\n2\n3\n4\n5\n")
	write(t, dir, "sub/inner", "deep\n")
	write(t, dir, "sub/.hidden", "")
	numbers := "1\n2\n3\n4\n5\n"
	for _, each := range []struct {
		stdin  string
		args   []string
		code   int
		out    string
		errors string
	}{
		{"", []string{"true"}, 0, "", ""},
		{"", []string{"/bin/false"}, 1, "", ""},
		{"", []string{"toolbox.wasm", "echo", "-n", "a", "b"}, 0, "a b", ""},
		{"", []string{"env"}, 0, "A=b\n", ""},
		{"", []string{"env", "C=d", "sh", "-c", "echo $A$C"}, 0, "bd\n", ""},
		{"", []string{"env", "-i", "env"}, 0, "", ""},
		{"in", []string{"cat"}, 0, "in", ""},
		{"in", []string{"cat", "numbers", "-"}, 0, numbers + "in", ""},
		{"", []string{"cat", "nope"}, 1, "", "cat: nope: No such file or directory\n"},
		{"", []string{"cat", "sub"}, 1, "", "cat: sub: Is a directory\n"},
		{numbers, []string{"head", "-n", "2"}, 0, "1\n2\n", ""},
		{numbers, []string{"head", "-2"}, 0, "1\n2\n", ""},
		{numbers, []string{"head", "-c3"}, 0, "1\n2", ""},
		{"", []string{"head", "-n1", "numbers", "hosts"}, 0,
			"==> numbers <==\n1\n\n==> hosts <==\n127.0.0.1 localhost\n", ""},
		{numbers, []string{"tail", "-n", "2"}, 0, "4\n5\n", ""},
		{numbers, []string{"tail", "-n", "+4"}, 0, "4\n5\n", ""},
		{numbers, []string{"tail", "-c", "3"}, 0, "\n5\n", ""},
		{numbers, []string{"tail", "-c+9"}, 0, "5\n", ""},
		{numbers, []string{"tail", "-c+90"}, 0, "", ""},
		{"", []string{"tail", "-n", "x"}, 1, "", "tail: invalid number of lines: 'x'\n"},
		{"a b\nc", []string{"wc"}, 0, "      1       3       5\n", ""},
		{"a b\nc\n", []string{"wc", "-l"}, 0, "2\n", ""},
		{"", []string{"wc", "-c", "numbers"}, 0, "10 numbers\n", ""},
		{"", []string{"grep", "other", "hosts"}, 0, "10.0.0.1 other\n10.0.0.2 other.local\n", ""},
		{"", []string{"grep", "-vc", "other", "hosts"}, 0, "1\n", ""},
		{"", []string{"grep", "-q", "nobody", "hosts"}, 1, "", ""},
		{"", []string{"grep", "x", "nope"}, 2, "", "grep: nope: No such file or directory\n"},
		{"", []string{"grep", "-on", `10\.0\.0\.[12]`, "hosts"}, 0, "2:10.0.0.1\n3:10.0.0.2\n", ""},
		{"a+b\naab\n", []string{"grep", "a+b"}, 0, "a+b\n", ""},
		{"a+b\naab\n", []string{"grep", "-E", "a+b"}, 0, "aab\n", ""},
		{"a+b\naab\n", []string{"grep", "-F", "-e", "+", "-e", "x"}, 0, "a+b\n", ""},
		{"a|b\nb\n", []string{"grep", "-x", `a\|b`}, 0, "b\n", ""},
		{"", []string{"grep", "-r", "deep", "."}, 0, "sub/inner:deep\n", ""},
		{"", []string{"ls"}, 0, "hosts\nnumbers\nsub\n", ""},
		{"", []string{"ls", "-A", "sub"}, 0, ".hidden\ninner\n", ""},
		{"", []string{"ls", "-d", "sub", "hosts"}, 0, "hosts\nsub\n", ""},
		{"", []string{"ls", "nope"}, 2, "",
			"ls: cannot access 'nope': No such file or directory\n"},
		{"", []string{"test", "-d", "sub"}, 0, "", ""},
		{"", []string{"test", "-f", "sub"}, 1, "", ""},
		{"", []string{"[", "2", "-gt", "1", "]"}, 0, "", ""},
		{"", []string{"sleep", "0.001s"}, 0, "", ""},
		{"", []string{"sleep", "long"}, 1, "", "sleep: invalid time interval 'long'\n"},
		{"", []string{"wget"}, 127, "", "toolbox: \"wget\": executable file not found in $PATH\n"},
		{"", []string{"/data/ls"}, 127, "", "toolbox: \"/data/ls\": executable file not found in $PATH\n"},
	} {
		seen := runIn(dir, each.stdin, each.args...)
		if wanted := (ran{each.code, each.out, each.errors}); seen != wanted {
			t.Errorf("%v:\n got  %s\n want %s", each.args, seen, wanted)
		}
	}
}

func TestShellRunsTheOthersInPipesAndTellsTheirCodes(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "hosts", "127.0.0.1 localhost\n10.0.0.1 other\n")
	write(t, dir, "script", "echo $0 $1; exit 4\n")
	for _, each := range []struct {
		script string
		code   int
		out    string
	}{
		{"cat hosts | grep local | wc -l", 0, "1\n"},
		{"cat hosts | head -n1; echo done", 0, "127.0.0.1 localhost\ndone\n"},
		{"grep nobody hosts || echo $?", 0, "1\n"},
		{"exit 42", 42, ""},
		{"false", 1, ""},
		{"/bin/sh -c 'exit 3'; echo $?", 0, "3\n"},
		{"wget x; echo $?", 0, "127\n"},
		{"for n in 1 2; do echo $n; done > out; cat out", 0, "1\n2\n"},
		{"sh script arg", 4, "script arg\n"},
		{"echo 'ls | wc -l; exit 5' | sh; echo $?", 0, "2\n5\n"},
		{"if [ -f hosts ]; then echo yes; fi", 0, "yes\n"},
		{"x=$(cat hosts | tail -n 1); echo \"<$x>\"", 0, "<10.0.0.1 other>\n"},
		{"B=c env | grep B", 0, "B=c\n"},
		{"cd / && pwd", 0, "/\n"},
		{"cat <<E\n$A\nE", 0, "b\n"},
	} {
		os.Remove(filepath.Join(dir, "out"))
		seen := runIn(dir, "", "sh", "-c", each.script)
		if seen.code != each.code || seen.out != each.out {
			t.Errorf("%s: got %s", each.script, seen)
		}
	}
	if seen := runIn(dir, "", "sh", "-c", "echo $0 $1", "name", "one"); seen.out != "name one\n" {
		t.Errorf("its name and parameters: %s", seen)
	}
	if seen := runIn(dir, "", "sh", "-ec", "false; echo on"); seen.code != 1 || seen.out != "" {
		t.Errorf("-e: %s", seen)
	}
}

func TestTarTakesAlongWhatKubectlCpAsksFor(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	content := strings.Repeat("0123456789abcdef", 100_000)
	write(t, from, "data/big", content)
	write(t, from, "data/sub/small", "x")
	packed := runIn(from, "", "tar", "cf", "-", filepath.Join(from, "data"))
	if packed.code != 0 || packed.errors != "tar: Removing leading `/' from member names\n" {
		t.Fatalf("%d %s", packed.code, packed.errors)
	}
	for _, flags := range [][]string{
		{"-xmf", "-", "-C", to},
		{"--no-same-permissions", "--no-same-owner", "-xmf", "-", "-C", to},
	} {
		seen := runIn("/", packed.out, append([]string{"tar"}, flags...)...)
		if seen != (ran{}) {
			t.Fatalf("%s", seen)
		}
		big, _ := os.ReadFile(filepath.Join(to, from, "data/big"))
		small, _ := os.ReadFile(filepath.Join(to, from, "data/sub/small"))
		if string(big) != content || string(small) != "x" {
			t.Fatalf("%v: %d %q", flags, len(big), small)
		}
	}
	resumed := runIn(from, "", "sh", "-c", "tar cf - data | tail -c+1025")
	if whole := runIn(from, "", "tar", "cf", "-", "data"); resumed.out != whole.out[1024:] {
		t.Error("what is resumed is not the rest")
	}
}

func TestTarLeadsNowhereElse(t *testing.T) {
	outside, to := t.TempDir(), t.TempDir()
	for name, member := range map[string]tar.Header{
		"above":    {Name: "../above", Typeflag: tar.TypeReg},
		"link/out": {Name: "link/out", Typeflag: tar.TypeReg},
	} {
		var packed bytes.Buffer
		written := tar.NewWriter(&packed)
		written.WriteHeader(&tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: outside})
		written.WriteHeader(&member)
		written.Close()
		seen := runIn(to, packed.String(), "tar", "xf", "-")
		if seen.code != 2 || seen.errors == "" {
			t.Errorf("%s: %s", name, seen)
		}
	}
	found, _ := os.ReadDir(outside)
	if _, err := os.Stat(filepath.Join(to, "../above")); err == nil || len(found) > 0 {
		t.Error("something was made elsewhere")
	}
}

func TestTarOfNothingFailsWithoutAnArchiveAndOfSomeEndsIt(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "there", "x")
	told := "tar: nope: Cannot stat: No such file or directory\n"
	if seen := runIn(dir, "", "tar", "cf", "-", "nope"); seen != (ran{2, "", told}) {
		t.Error(seen)
	}
	seen := runIn(dir, "", "tar", "cf", "-", "nope", "there")
	if listed := runIn(dir, seen.out, "tar", "tf", "-"); seen.code != 2 || listed.out != "there\n" {
		t.Error(seen.code, listed)
	}
}

func TestFolderThatNobodyGivesHoldsTheWayToThoseThatAreGiven(t *testing.T) {
	given := []string{"/etc", "/var/lib/data", "/var/log", "/"}
	for at, wanted := range map[string]string{
		"/": "etc var", "/var": "lib log", "/etc": "", "/va": "", "/var/lib": "data",
	} {
		if seen := strings.Join(namesBelow(given, at), " "); seen != wanted {
			t.Errorf("%s: %q", at, seen)
		}
	}
}
