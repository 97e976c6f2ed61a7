// Command kitchen is a guest for tests. Its name or its first argument says what it does.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path"
	"sort"
	"strconv"
	"strings"
	"time"
)

// command is one thing that the guest can do. args are the arguments after its name.
type command func(args []string) error

func commands() map[string]command {
	all := map[string]command{
		"args":  func(args []string) error { return lines(os.Args) },
		"env":   func([]string) error { return lines(os.Environ()) },
		"echo":  func(args []string) error { return lines(args) },
		"warn":  func(args []string) error { _, err := fmt.Fprintln(os.Stderr, args); return err },
		"exit":  func(args []string) error { os.Exit(number(args, 0)); return nil },
		"spin":  spin,
		"sleep": sleep,
		"count": count,
		"panic": func(args []string) error { panic("told to") },
		"alloc": alloc,
		"stdin": stdin,
		"sum":   sum,
		"clock": clock,
		"yes":   yes,
		"each":  each,
		"cwd":   func([]string) error { dir, err := os.Getwd(); fmt.Println(dir); return err },
	}
	for _, more := range []map[string]command{fileCommands(), outputCommands(), networkCommands()} {
		for name, run := range more {
			all[name] = run
		}
	}
	return all
}

func main() {
	// If the guest has the name of a command, it is that command, like busybox.
	args := os.Args
	run, ok := commands()[path.Base(args[0])]
	if !ok {
		args = args[1:]
		if len(args) == 0 {
			fmt.Fprintln(os.Stderr, "kitchen: no command")
			os.Exit(2)
		}
		run, ok = commands()[args[0]]
	}
	if !ok {
		fmt.Fprintf(os.Stderr, "kitchen: no command %q\n", args[0])
		os.Exit(2)
	}
	if err := run(args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func lines(all []string) error {
	for _, s := range all {
		fmt.Println(s)
	}
	return nil
}

// each COMMAND... runs commands, whose words are separated by spaces. If a command fails, it prints
// the error.
func each(args []string) error {
	for _, line := range args {
		words := strings.Fields(line)
		fmt.Println("$", line)
		if err := commands()[words[0]](words[1:]); err != nil {
			fmt.Println(err)
		}
	}
	return nil
}

// number is args[i] as a number, or 0 if there is no such argument.
func number(args []string, i int) int {
	if i >= len(args) {
		return 0
	}
	n, err := strconv.Atoi(args[i])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return n
}

func spin([]string) error {
	fmt.Println("spinning")
	for n := 0; ; n++ {
		if n < 0 {
			n = 0
		}
	}
}

// sleep [DURATION] sleeps. Without an argument it sleeps for ever.
func sleep(args []string) error {
	fmt.Println("sleeping")
	if len(args) == 0 {
		for {
			time.Sleep(time.Hour)
		}
	}
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	time.Sleep(d)
	fmt.Println("slept")
	return nil
}

// count [N [CODE]] prints the numbers from 0, one every 10 ms. After N numbers it exits with CODE.
func count(args []string) error {
	for n := 0; len(args) == 0 || n < number(args, 0); n++ {
		fmt.Println(n)
		time.Sleep(10 * time.Millisecond)
	}
	os.Exit(number(args, 1))
	return nil
}

var kept [][]byte

// alloc MIB [keep] allocates that much memory, one MiB at a time, and writes to it.
func alloc(args []string) error {
	for range number(args, 0) {
		chunk := make([]byte, 1<<20)
		for i := 0; i < len(chunk); i += 4096 {
			chunk[i] = 1
		}
		kept = append(kept, chunk)
	}
	fmt.Println("allocated", len(kept))
	if len(args) > 1 && args[1] == "keep" {
		return sleep(nil)
	}
	return nil
}

func stdin([]string) error {
	content, err := io.ReadAll(os.Stdin)
	fmt.Printf("%d bytes\n", len(content))
	return err
}

// sum prints how many bytes its standard input has, and their SHA-256.
func sum([]string) error {
	hash := sha256.New()
	n, err := io.Copy(hash, os.Stdin)
	fmt.Printf("%d %x\n", n, hash.Sum(nil))
	return err
}

// yes prints a line again and again until a write fails. Then it prints the error.
func yes([]string) error {
	for {
		if _, err := fmt.Println("yes"); err != nil {
			return err
		}
	}
}

// clock prints the wall clock in nanoseconds, and how long a sleep of 20 ms took on the monotonic
// clock.
func clock([]string) error {
	start := time.Now()
	time.Sleep(20 * time.Millisecond)
	fmt.Println(start.UnixNano())
	fmt.Println(time.Since(start).Nanoseconds())
	return nil
}

func names(entries []os.DirEntry) []string {
	var out []string
	for _, e := range entries {
		name := e.Name()
		switch {
		case e.IsDir():
			name += "/"
		case e.Type()&os.ModeSymlink != 0:
			name += "@"
		}
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}
