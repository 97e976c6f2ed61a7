package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

func fileCommands() map[string]command {
	return map[string]command{
		"cat":      cat,
		"ls":       ls,
		"write":    func(args []string) error { return os.WriteFile(args[0], []byte(strings.Join(args[1:], " ")), 0o644) },
		"append":   appendTo,
		"mkdir":    func(args []string) error { return os.MkdirAll(args[0], 0o755) },
		"rm":       func(args []string) error { return os.Remove(args[0]) },
		"rmall":    func(args []string) error { return os.RemoveAll(args[0]) },
		"rename":   func(args []string) error { return os.Rename(args[0], args[1]) },
		"symlink":  func(args []string) error { return os.Symlink(args[0], args[1]) },
		"link":     func(args []string) error { return os.Link(args[0], args[1]) },
		"readlink": readlink,
		"stat":     stat,
		"fill":     fill,
		"deep":     deep,
		"truncate": func(args []string) error { return os.Truncate(args[0], int64(number(args, 1))) },
		"touch": func(args []string) error {
			at := time.Unix(int64(number(args, 1)), 0)
			return os.Chtimes(args[0], at, at)
		},
		"random": random,
		"churn":  churn,
		"watch":  watch,
		"await":  await,
		"beat":   beat,
	}
}

// cat prints files. Without a name it prints its standard input, as the data arrives.
func cat(args []string) error {
	if len(args) == 0 {
		_, err := io.Copy(os.Stdout, os.Stdin)
		return err
	}
	for _, name := range args {
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := os.Stdout.Write(content); err != nil {
			return err
		}
	}
	return nil
}

func ls(args []string) error {
	entries, err := os.ReadDir(args[0])
	if err != nil {
		return err
	}
	return lines(names(entries))
}

// await FILE waits until the file exists.
func await(args []string) error {
	for {
		if _, err := os.Stat(args[0]); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// watch FILE prints the content of a file, and prints it again after each change, for ever.
func watch(args []string) error {
	last := ""
	for {
		content, err := os.ReadFile(args[0])
		if err != nil {
			content = []byte(err.Error())
		}
		if now := string(content); now != last {
			fmt.Println(now)
			last = now
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// beat FILE writes a growing number into a file, every 20 ms, for ever.
func beat(args []string) error {
	for n := 0; ; n++ {
		if err := os.WriteFile(args[0]+".next", []byte(strconv.Itoa(n)), 0o644); err != nil {
			return err
		}
		if err := os.Rename(args[0]+".next", args[0]); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func appendTo(args []string) error {
	f, err := os.OpenFile(args[0], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(strings.Join(args[1:], " ")); err != nil {
		return err
	}
	return f.Close()
}

func readlink(args []string) error {
	target, err := os.Readlink(args[0])
	fmt.Println(target)
	return err
}

// stat prints kind, size and modification time.
func stat(args []string) error {
	info, err := os.Lstat(args[0])
	if err != nil {
		return err
	}
	fmt.Println(info.Mode().Type(), info.Size(), info.ModTime().Unix())
	return nil
}

// fill FILE MIB writes a file of that size.
func fill(args []string) error {
	f, err := os.Create(args[0])
	if err != nil {
		return err
	}
	chunk := make([]byte, 1<<20)
	for range number(args, 1) {
		if _, err := f.Write(chunk); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// deep DIR LEVELS MIB makes nested directories, the first one in DIR. The lowest one has a file of
// that size. It renames finished directories into new ones, so that no path is long.
func deep(args []string) error {
	const step = 25
	top, next := args[0]+"/directory-of-20-bytes", args[0]+"/next"
	for made := 0; made < number(args, 1); made += step {
		bottom := next + strings.Repeat("/directory-of-20-bytes", step-1)
		if err := os.MkdirAll(bottom, 0o755); err != nil {
			return err
		}
		var err error
		if made == 0 {
			err = fill([]string{bottom + "/file", args[2]})
		} else {
			err = os.Rename(top, bottom+"/directory-of-20-bytes")
		}
		if err == nil {
			err = os.Rename(next, top)
		}
		if err != nil {
			return fmt.Errorf("after %d levels: %w", made, err)
		}
	}
	return nil
}

// random prints two different strings of 16 random bytes.
func random([]string) error {
	for range 2 {
		var b [16]byte
		if _, err := rand.Read(b[:]); err != nil {
			return err
		}
		fmt.Printf("%x\n", b)
	}
	return nil
}

// churn DIR N makes, fills, renames, reads and removes N files.
func churn(args []string) error {
	for i := range number(args, 1) {
		a, b := fmt.Sprintf("%s/a%d", args[0], i), fmt.Sprintf("%s/b%d", args[0], i)
		if err := os.WriteFile(a, []byte(a), 0o644); err != nil {
			return err
		}
		if err := os.Rename(a, b); err != nil {
			return err
		}
		content, err := os.ReadFile(b)
		if err != nil {
			return err
		}
		if string(content) != a {
			return fmt.Errorf("%s holds %q", b, content)
		}
		if err := os.Remove(b); err != nil {
			return err
		}
	}
	return nil
}
