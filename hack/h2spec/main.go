package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// settings are what the command line says.
type settings struct {
	agent    string // the program that serves file
	file     string
	address  string // of a server that runs, if there is no agent
	secure   bool
	path     string
	strict   bool
	patience time.Duration
}

func parse(args []string) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("h2spec", flag.ContinueOnError)
	flags.StringVar(&s.agent, "agent", "", "krustlet-wasi, which serves the file that is the argument")
	flags.StringVar(&s.address, "address", "", "HOST:PORT of a server that runs, instead of -agent")
	flags.BoolVar(&s.secure, "tls", false, "the server at -address has TLS; its certificate is not checked")
	flags.StringVar(&s.path, "path", "/hello", "what the tests ask for")
	flags.BoolVar(&s.strict, "strict", false, "also tests of what the specification only advises")
	flags.DurationVar(&s.patience, "patience", 2*time.Second, "how long a test waits for what the server must do")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	s.file = flags.Arg(0)
	switch {
	case (s.agent == "") == (s.address == ""):
		return s, errors.New("name a server: -agent PROGRAM FILE, or -address HOST:PORT")
	case s.agent != "" && (flags.NArg() != 1 || s.secure):
		return s, errors.New("-agent needs one file, and serves it without TLS")
	case s.address != "" && flags.NArg() != 0:
		return s, errors.New("-address needs no file")
	}
	return s, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	s, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	address := s.address
	if s.agent != "" {
		served, end, err := serve(ctx, s.agent, s.file)
		if err != nil {
			return err
		}
		defer end()
		address = served
	}
	server, err := conform(ctx, s, address)
	if err != nil {
		return err
	}
	plain := plainServer(s.secure)
	defer plain.Close()
	own, err := conform(ctx, s, plain.Listener.Addr().String())
	if err != nil {
		return err
	}
	return report(out, server, own)
}

// report prints what both have passed, and each test that one of them fails.
func report(out io.Writer, server, plain result) error {
	fmt.Fprintf(out, "| server | tests | passed | skipped | failed |\n|---|---|---|---|---|\n")
	fmt.Fprintf(out, "| krustlet-wasi | %d | %d | %d | %d |\n", server.tests(), server.passed, server.skipped, len(server.failed))
	fmt.Fprintf(out, "| Go's net/http | %d | %d | %d | %d |\n", plain.tests(), plain.passed, plain.skipped, len(plain.failed))
	fmt.Fprintf(out, "\n| failed | test | by |\n|---|---|---|\n")
	worse := 0
	for _, f := range server.failed {
		by := "both"
		if !slices.Contains(plain.failed, f) {
			by = "krustlet-wasi"
			worse++
		}
		fmt.Fprintf(out, "| `%s` | %s | %s |\n", f.id, f.what, by)
	}
	for _, f := range plain.failed {
		if !slices.Contains(server.failed, f) {
			fmt.Fprintf(out, "| `%s` | %s | net/http |\n", f.id, f.what)
		}
	}
	if worse > 0 {
		return fmt.Errorf("comparing with net/http: it passes %d tests that the server fails", worse)
	}
	return nil
}
