// Says hello to its arguments; with none, to the world. Ends with the exit code in $EXIT_CODE.
package main

import (
	"fmt"
	"os"
	"strconv"
)

func main() {
	names := os.Args[1:]
	if len(names) == 0 {
		names = []string{"world"}
	}
	for _, name := range names {
		fmt.Printf("Hello, %s, from Go\n", name)
	}
	code, _ := strconv.Atoi(os.Getenv("EXIT_CODE"))
	os.Exit(code)
}
