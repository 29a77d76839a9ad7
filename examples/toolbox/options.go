package main

import (
	"fmt"
	"strings"
)

// option is one that was given: a letter, or a long name.
type option struct{ name, value string }

// parseOptions reads options as getopt does. In letters one that takes a value has a colon behind
// it; long maps a long name to its letter, or to itself if it has none. With permute options may
// stand between operands.
func parseOptions(
	args []string, letters string, long map[string]string, permute bool,
) (given []option, operands []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return given, append(operands, args...), nil
		case strings.HasPrefix(arg, "--"):
			var one option
			one, args, err = longOption(arg, args, letters, long)
			given = append(given, one)
		case len(arg) > 1 && arg[0] == '-':
			var some []option
			some, args, err = cluster(arg[1:], args, letters)
			given = append(given, some...)
		case permute:
			operands = append(operands, arg)
		default:
			return given, append([]string{arg}, args...), nil
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return given, operands, nil
}

func longOption(
	arg string, rest []string, letters string, long map[string]string,
) (option, []string, error) {
	name, value, hasValue := strings.Cut(arg[2:], "=")
	letter, known := long[name]
	if !known {
		return option{}, nil, fmt.Errorf("unrecognized option '--%s'", name)
	}
	if len(letter) == 1 && takesValue(letters, letter[0]) && !hasValue {
		if len(rest) == 0 {
			return option{}, nil, fmt.Errorf("option '--%s' requires an argument", name)
		}
		value, rest = rest[0], rest[1:]
	}
	return option{letter, value}, rest, nil
}

func cluster(text string, rest []string, letters string) (given []option, _ []string, _ error) {
	for i := range len(text) {
		letter := text[i]
		if letter == ':' || !strings.ContainsRune(letters, rune(letter)) {
			return nil, nil, fmt.Errorf("invalid option -- '%c'", letter)
		}
		if !takesValue(letters, letter) {
			given = append(given, option{name: string(letter)})
			continue
		}
		value := text[i+1:]
		if value == "" {
			if len(rest) == 0 {
				return nil, nil, fmt.Errorf("option requires an argument -- '%c'", letter)
			}
			value, rest = rest[0], rest[1:]
		}
		return append(given, option{string(letter), value}), rest, nil
	}
	return given, rest, nil
}

func takesValue(letters string, letter byte) bool {
	at := strings.IndexByte(letters, letter)
	return at >= 0 && at+1 < len(letters) && letters[at+1] == ':'
}
