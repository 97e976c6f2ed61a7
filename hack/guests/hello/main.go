// Command hello is the demo's guest: it prints a numbered greeting at regular intervals.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	count, interval := 0, time.Second
	if len(os.Args) > 1 {
		n, err := strconv.Atoi(os.Args[1])
		if err != nil || n < 0 {
			fail("COUNT must be a number from 0, got %q", os.Args[1])
		}
		count = n
	}
	if len(os.Args) > 2 {
		d, err := time.ParseDuration(os.Args[2])
		if err != nil || d < 0 {
			fail("INTERVAL must be a duration such as 500ms, got %q", os.Args[2])
		}
		interval = d
	}
	for i := 1; ; i++ {
		fmt.Printf("hello from WebAssembly, line %d\n", i)
		if i == count {
			return
		}
		time.Sleep(interval)
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "hello: "+format+"\n", args...)
	os.Exit(2)
}
