package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// lastLines is the last n lines of a text.
func lastLines(text []byte, n int) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	if last := len(lines) - 1; len(lines[last]) == 0 {
		lines = lines[:last]
	}
	return bytes.Join(lines[max(0, len(lines)-n):], nil)
}

func head(_ context.Context, c call) int {
	flags := flagsOf(c)
	lines := flags.Int("n", 10, "")
	count := flags.Int64("c", 0, "")
	if err := c.parse(flags); err != nil {
		return 2
	}
	return inputs(c, flags.Args(), func(_ string, from io.Reader) error {
		if *count > 0 {
			_, err := io.CopyN(c.stdout, from, *count)
			if err == io.EOF {
				return nil
			}
			return err
		}
		scanner := bufio.NewScanner(from)
		for n := 0; n < *lines && scanner.Scan(); n++ {
			fmt.Fprintln(c.stdout, scanner.Text())
		}
		return scanner.Err()
	})
}

func wc(_ context.Context, c call) int {
	flags := flagsOf(c)
	lines := flags.Bool("l", false, "")
	size := flags.Bool("c", false, "")
	if err := c.parse(flags); err != nil {
		return 2
	}
	return inputs(c, flags.Args(), func(name string, from io.Reader) error {
		content, err := io.ReadAll(from)
		if err != nil {
			return err
		}
		newlines, words := bytes.Count(content, []byte("\n")), len(bytes.Fields(content))
		var numbers []string
		switch {
		case *lines:
			numbers = []string{strconv.Itoa(newlines)}
		case *size:
			numbers = []string{strconv.Itoa(len(content))}
		default:
			numbers = []string{strconv.Itoa(newlines), strconv.Itoa(words), strconv.Itoa(len(content))}
		}
		if name != "-" {
			numbers = append(numbers, name)
		}
		fmt.Fprintln(c.stdout, strings.Join(numbers, " "))
		return nil
	})
}

func grep(_ context.Context, c call) int {
	flags := flagsOf(c)
	quiet := flags.Bool("q", false, "")
	extended := flags.Bool("E", false, "")
	invert := flags.Bool("v", false, "")
	if err := c.parse(flags); err != nil {
		return 2
	}
	if flags.NArg() == 0 {
		return c.errorf("a pattern is needed")
	}
	text := flags.Arg(0)
	if !*extended {
		text = strings.NewReplacer("(", `\(`, ")", `\)`, "|", `\|`, "+", `\+`, "?", `\?`).Replace(text)
	}
	pattern, err := regexp.Compile(text)
	if err != nil {
		return c.errorf("%v", err)
	}
	found := false
	code := inputs(c, flags.Args()[1:], func(_ string, from io.Reader) error {
		scanner := bufio.NewScanner(from)
		for scanner.Scan() {
			if pattern.MatchString(scanner.Text()) == *invert {
				continue
			}
			found = true
			if !*quiet {
				fmt.Fprintln(c.stdout, scanner.Text())
			}
		}
		return scanner.Err()
	})
	if code == 0 && !found {
		return 1
	}
	return code
}

func sortLines(_ context.Context, c call) int {
	var lines []string
	code := inputs(c, c.args[1:], func(_ string, from io.Reader) error {
		scanner := bufio.NewScanner(from)
		for scanner.Scan() {
			lines = append(lines, scanner.Text())
		}
		return scanner.Err()
	})
	slices.Sort(lines)
	for _, line := range lines {
		fmt.Fprintln(c.stdout, line)
	}
	return code
}

// column is the only program that this awk knows.
var column = regexp.MustCompile(`^\s*\{\s*print \$(\d+)\s*\}\s*$`)

func awk(_ context.Context, c call) int {
	if len(c.args) < 2 {
		return c.errorf("a program is needed")
	}
	match := column.FindStringSubmatch(c.args[1])
	if match == nil {
		return c.errorf("only {print $N} is known here")
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		return c.errorf("%v", err)
	}
	return inputs(c, c.args[2:], func(_ string, from io.Reader) error {
		scanner := bufio.NewScanner(from)
		for scanner.Scan() {
			fields := append([]string{scanner.Text()}, strings.Fields(scanner.Text())...)
			value := ""
			if n < len(fields) {
				value = fields[n]
			}
			fmt.Fprintln(c.stdout, value)
		}
		return scanner.Err()
	})
}

// hexdump prints bytes like hexdump -C.
func hexdump(_ context.Context, c call) int {
	flags := flagsOf(c)
	flags.Bool("C", false, "")
	if err := c.parse(flags); err != nil {
		return 2
	}
	return inputs(c, flags.Args(), func(_ string, from io.Reader) error {
		dumper := hex.Dumper(c.stdout)
		if _, err := io.Copy(dumper, from); err != nil {
			return err
		}
		return dumper.Close()
	})
}
