package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
)

// outputCommands print.
func outputCommands() map[string]command {
	return map[string]command{"bulk": bulk, "odd": odd}
}

// bulk MIB prints that many mebibytes, in numbered lines of 1 KiB.
func bulk(args []string) error {
	out := bufio.NewWriterSize(os.Stdout, 64<<10)
	fill := strings.Repeat("x", 1<<10-11)
	for n := range number(args, 0) << 10 {
		if _, err := fmt.Fprintf(out, "%09d %s\n", n, fill); err != nil {
			return err
		}
	}
	return out.Flush()
}

// odd prints a line of all bytes but the newline, a line of 3 MiB, a part of a line to each stream in turn, and last words
// without a newline.
func odd([]string) error {
	var all []byte
	for b := range 256 {
		if b != '\n' {
			all = append(all, byte(b))
		}
	}
	for _, text := range [][]byte{all, {'\n'}, bytes.Repeat([]byte("long"), 3<<18), {'\n', '\n'}} {
		if _, err := os.Stdout.Write(text); err != nil {
			return err
		}
	}
	for _, part := range []string{"one ", "two ", "three\n"} {
		fmt.Print(part)
		fmt.Fprint(os.Stderr, strings.ToUpper(part))
	}
	fmt.Print("last words")
	return nil
}
