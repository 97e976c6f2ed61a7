package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/u-root/u-root/pkg/core"
	"github.com/u-root/u-root/pkg/core/cat"
	"github.com/u-root/u-root/pkg/core/chmod"
	"github.com/u-root/u-root/pkg/core/cp"
	"github.com/u-root/u-root/pkg/core/mkdir"
	"github.com/u-root/u-root/pkg/core/mv"
	"github.com/u-root/u-root/pkg/core/rm"
	"github.com/u-root/u-root/pkg/core/touch"
	"mvdan.cc/sh/v3/expand"
)

// applet is a command. It returns its exit code.
type applet func(context.Context, call) int

// applets are the commands that are not built into the shell.
func applets() map[string]applet {
	return map[string]applet{
		"cat":   uroot(func() core.Command { return cat.New() }),
		"chmod": uroot(func() core.Command { return chmod.New() }),
		"cp":    uroot(func() core.Command { return cp.New() }),
		"mkdir": uroot(func() core.Command { return mkdir.New() }),
		"mv":    uroot(func() core.Command { return mv.New() }),
		"rm":    uroot(func() core.Command { return rm.New() }),
		"touch": uroot(func() core.Command { return touch.New() }),

		"env": env, "printenv": env,
		"hostname": hostname,
		"date":     date, "nmeter": nmeter,
		"id": id, "whoami": whoami,
		"sleep": sleep,
		"seq":   seq,
		"ls":    ls, "find": find, "readlink": readlink, "ln": ln, "tail": tail, "tee": tee,
		"head": head, "wc": wc, "grep": grep, "sort": sortLines, "awk": awk, "hexdump": hexdump,
		"curl": curl, "wget": wget, "nc": nc, "dig": dig, "getent": getent, "nslookup": nslookup,
	}
}

// uroot makes an applet from a command of u-root.
func uroot(build func() core.Command) applet {
	return func(ctx context.Context, c call) int {
		cmd := build()
		cmd.SetIO(c.stdin, c.stdout, c.stderr)
		cmd.SetWorkingDir(c.dir)
		cmd.SetLookupEnv(func(name string) (string, bool) {
			v := c.env.Get(name)
			return v.String(), v.IsSet()
		})
		if err := cmd.RunContext(ctx, c.args[1:]...); err != nil {
			return c.errorf("%v", err)
		}
		return 0
	}
}

// env prints the exported variables. printenv prints the variables that the arguments name.
func env(_ context.Context, c call) int {
	for _, name := range c.args[1:] {
		v := c.env.Get(name)
		if !v.Exported {
			return 1
		}
		fmt.Fprintln(c.stdout, v.String())
	}
	if len(c.args) > 1 {
		return 0
	}
	c.env.Each(func(name string, v expand.Variable) bool {
		if v.Exported && v.Kind == expand.String {
			fmt.Fprintf(c.stdout, "%s=%s\n", name, v.String())
		}
		return true
	})
	return 0
}

// hostname prints the pod's hostname. It reads the file that the node manages, because WASI has no
// call for it. With -f it prints the full name, which comes before the short one in /etc/hosts.
func hostname(_ context.Context, c call) int {
	content, err := os.ReadFile("/etc/hostname")
	if err != nil {
		return c.errorf("%v", err)
	}
	name := strings.TrimSpace(string(content))
	if slices.Contains(c.args, "-f") {
		name = qualified(name)
	}
	fmt.Fprintln(c.stdout, name)
	return 0
}

func qualified(name string) string {
	hosts, err := os.ReadFile("/etc/hosts")
	if err != nil {
		return name
	}
	for line := range strings.Lines(string(hosts)) {
		if words := strings.Fields(line); len(words) > 1 && slices.Contains(words[1:], name) {
			return words[1]
		}
	}
	return name
}

// date knows the few formats that the tests' scripts use.
func date(_ context.Context, c call) int {
	now := time.Now().UTC()
	format := "%a %b %e %T UTC %Y"
	for _, arg := range c.args[1:] {
		if rest, is := strings.CutPrefix(arg, "+"); is {
			format = rest
		}
	}
	fmt.Fprintln(c.stdout, strings.NewReplacer(
		"%F", now.Format(time.DateOnly), "%T", now.Format(time.TimeOnly), "%s", strconv.FormatInt(now.Unix(), 10), "%N", fmt.Sprintf("%09d", now.Nanosecond()),
		"%a", now.Format("Mon"), "%b", now.Format("Jan"), "%e", now.Format("_2"), "%Y", now.Format("2006"),
	).Replace(format))
	return 0
}

// nmeter only prints the time to the millisecond. The real program can print more.
func nmeter(_ context.Context, c call) int {
	fmt.Fprintln(c.stdout, time.Now().UTC().Format("15:04:05.000"))
	return 0
}

// id prints the ids of root. WASI has no users, so the guest cannot know which user the pod asked
// for.
func id(_ context.Context, c call) int {
	if len(c.args) > 1 {
		fmt.Fprintln(c.stdout, 0)
		return 0
	}
	fmt.Fprintln(c.stdout, "uid=0(root) gid=0(root)")
	return 0
}

func whoami(_ context.Context, c call) int {
	fmt.Fprintln(c.stdout, "root")
	return 0
}

func sleep(ctx context.Context, c call) int {
	var total time.Duration
	for _, arg := range c.args[1:] {
		if seconds, err := strconv.ParseFloat(arg, 64); err == nil {
			total += time.Duration(seconds * float64(time.Second))
			continue
		}
		d, err := time.ParseDuration(arg)
		if err != nil {
			return c.errorf("invalid number '%s'", arg)
		}
		total += d
	}
	select {
	case <-time.After(total):
		return 0
	case <-ctx.Done():
		return 1
	}
}

func seq(_ context.Context, c call) int {
	first, last := 1, 0
	var err error
	switch len(c.args) {
	case 2:
		last, err = strconv.Atoi(c.args[1])
	case 3:
		if first, err = strconv.Atoi(c.args[1]); err == nil {
			last, err = strconv.Atoi(c.args[2])
		}
	default:
		return c.errorf("one or two numbers are needed")
	}
	if err != nil {
		return c.errorf("%v", err)
	}
	for i := first; i <= last; i++ {
		fmt.Fprintln(c.stdout, i)
	}
	return 0
}

// inputs calls read for each named file, or for the standard input if there are no names.
func inputs(c call, names []string, read func(name string, from io.Reader) error) int {
	if len(names) == 0 {
		names = []string{"-"}
	}
	code := 0
	for _, name := range names {
		if err := input(c, name, read); err != nil {
			code = c.errorf("%v", err)
		}
	}
	return code
}

func input(c call, name string, read func(string, io.Reader) error) error {
	switch name {
	case "-":
		return read(name, c.stdin)
	case "/dev/null":
		return read(name, nothing{})
	}
	file, err := os.Open(c.path(name))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	return read(name, file)
}
