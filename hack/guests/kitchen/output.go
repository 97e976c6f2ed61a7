package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"
)

// outputCommands print.
func outputCommands() map[string]command {
	return map[string]command{"bulk": bulk, "odd": odd, "paced": paced}
}

// bulk MIB [MS] prints MIB mebibytes in numbered lines of 1 KiB, and sleeps for MS milliseconds
// after each mebibyte.
func bulk(args []string) error {
	out := bufio.NewWriterSize(os.Stdout, 64<<10)
	fill := strings.Repeat("x", 1<<10-11)
	for mib := range number(args, 0) {
		for n := range 1 << 10 {
			if _, err := fmt.Fprintf(out, "%09d %s\n", mib<<10+n, fill); err != nil {
				return err
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
		time.Sleep(time.Duration(number(args, 1)) * time.Millisecond)
	}
	return nil
}

// odd prints a line of all bytes except the newline, a line of 3 MiB, parts of a line to both
// streams in turn, and a last text without a newline.
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

// paced RATE prints RATE lines a second. If it is late, it prints the missing lines at once.
func paced(args []string) error {
	apart := time.Second / time.Duration(max(1, number(args, 0)))
	began := time.Now()
	for n := 0; ; n++ {
		time.Sleep(time.Until(began.Add(time.Duration(n) * apart)))
		if _, err := fmt.Printf("this is line %010d, as usual\n", n); err != nil {
			return err
		}
	}
}
