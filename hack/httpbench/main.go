package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// settings are the flags.
type settings struct {
	agent    string
	wasmtime string
	wrk      string
	duration time.Duration
	warm     time.Duration
	clients  int
	reuse    int
	path     string
	serve    bool // this process is the server of net/http
	files    []string
}

func run(ctx context.Context, args []string) int {
	s := settings{wasmtime: os.Getenv("WASMTIME"), wrk: os.Getenv("WRK")}
	flags := flag.NewFlagSet("httpbench", flag.ContinueOnError)
	flags.StringVar(&s.agent, "agent", "", "the program krustlet-wasi; without it, it is not measured")
	flags.DurationVar(&s.duration, "duration", 5*time.Second, "how long each server is measured")
	flags.DurationVar(&s.warm, "warm", time.Second, "how long each server gets requests before that")
	flags.IntVar(&s.clients, "connections", 8, "how many connections send requests")
	flags.IntVar(&s.reuse, "reuse", 0, "measure instances that answer so many requests, too")
	flags.StringVar(&s.path, "path", "/", "what is requested")
	flags.BoolVar(&s.serve, "serve", false, "be the server of net/http that the others are compared with")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	s.files = flags.Args()
	if s.wrk == "" {
		s.wrk, _ = exec.LookPath("wrk")
	}
	work := measureAll
	if s.serve {
		work = serve
	}
	if err := work(ctx, s); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "httpbench: %v\n", err)
		return 1
	}
	return 0
}

// measureAll measures each server and prints the table. It goes on after one that fails.
func measureAll(ctx context.Context, s settings) error {
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the own program: %w", err)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "server\thandler\trequests/s\t\tp50\tp99\tMiB")
	defer func() { _ = table.Flush() }()
	base, failed := 0.0, 0
	for _, c := range contestants(s, own) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f, err := c.measure(ctx, s)
		if err != nil {
			failed++
			_, _ = fmt.Fprintf(table, "%s\t%s\tfailed\t\t\t\t\n", c.name, c.handler)
			_, _ = fmt.Fprintf(os.Stderr, "measuring %s with %s: %v\n", c.name, c.handler, err)
			continue
		}
		if base == 0 {
			base = f.perSecond
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%.0f\t(%.3f)\t%v\t%v\t%.0f\n",
			c.name, c.handler, f.perSecond, f.perSecond/base, f.p50, f.p99, f.memory)
		_, _ = fmt.Fprintf(os.Stderr, "measured %s with %s: %.0f requests/s\n", c.name, c.handler, f.perSecond)
	}
	if failed > 0 {
		return fmt.Errorf("%d servers could not be measured", failed)
	}
	return nil
}
