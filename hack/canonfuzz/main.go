package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
)

//go:embed reference.py
var script string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("canonfuzz", flag.ContinueOnError)
	reference := flags.String("reference", "", "the folder design/mvp/canonical-abi of a checkout of component-model")
	cases := flags.Int("cases", 20_000, "how many cases")
	seed := flags.Uint64("seed", 1, "the seed of the first case; each next one has the next seed")
	shown := flags.Int("show", 10, "after how many differences to stop")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := start(ctx, *reference)
	if err != nil {
		return err
	}
	var traps, failed, done int
	for ; done < *cases && failed < *shown; done++ {
		at := *seed + uint64(done)
		c := newComparison(at)
		theirs, err := r.ask(c.json)
		if err != nil {
			return fmt.Errorf("seed %d: %w", at, err)
		}
		if theirs.Trap != "" {
			traps++
		}
		d := c.compare(theirs)
		if d == "" {
			continue
		}
		failed++
		text, err := json.Marshal(c.json)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(stdout, "seed %d: %s\n%s\n", at, d, text); err != nil {
			return err
		}
	}
	if err := r.close(); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(stdout, "%d cases, %d of them traps: %d differ\n", done, traps, failed); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d cases differ from the reference", failed)
	}
	return nil
}

// referenceProcess is the reference, which answers a line for a line.
type referenceProcess struct {
	python  *exec.Cmd
	in      io.WriteCloser
	answers *json.Decoder
}

func start(ctx context.Context, folder string) (*referenceProcess, error) {
	python := exec.CommandContext(ctx, "python3", "-c", script, folder)
	python.Stderr = os.Stderr
	in, err := python.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := python.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := python.Start(); err != nil {
		return nil, fmt.Errorf("starting the reference: %w", err)
	}
	return &referenceProcess{python, in, json.NewDecoder(out)}, nil
}

func (r *referenceProcess) ask(c caseJSON) (o outcome, err error) {
	if err := json.NewEncoder(r.in).Encode(c); err != nil {
		return o, fmt.Errorf("asking the reference: %w", err)
	}
	if err := r.answers.Decode(&o); err != nil {
		return o, fmt.Errorf("reading what the reference says: %w", err)
	}
	return o, nil
}

func (r *referenceProcess) close() error {
	if err := r.in.Close(); err != nil {
		return err
	}
	if err := r.python.Wait(); err != nil {
		return fmt.Errorf("the reference: %w", err)
	}
	return nil
}
