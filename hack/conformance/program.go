package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// specification is the .json file of a program. The older form has the fields of one run. The newer
// form has a list of operations.
type specification struct {
	operation          // of the older form: what the program is run with, and its exit code
	Dirs      []string `json:"dirs"` // in older suites: folders that the program sees below /
	Stdout    *string  `json:"stdout"`
	Stderr    *string  `json:"stderr"`

	Operations []operation `json:"operations"`
	Proposals  []string    `json:"proposals"` // what the runtime needs besides, such as sockets
	World      string      `json:"world"`
	// Servers are what the program connects to.
	Servers []json.RawMessage `json:"servers"`

	env map[string]string // the addresses of the Servers
}

// sockets is the proposal of programs that need a network.
const sockets = "sockets"

// networked reports whether the program of a file needs a network. Some do not say so.
func (s specification) networked(file string) bool {
	return slices.Contains(s.Proposals, sockets) || strings.HasPrefix(filepath.Base(file), "sockets-")
}

// service is the world of a program that answers HTTP requests.
const service = "wasi:http/service"

// lacks are the proposals that this host does not have, of those that the program needs.
func (s specification) lacks() []string {
	return slices.DeleteFunc(slices.Clone(s.Proposals), func(p string) bool { return p == "http" || p == sockets })
}

type operation struct {
	Type     string            `json:"type"`
	Args     []string          `json:"args"`
	Env      map[string]string `json:"env"`
	Root     string            `json:"root"`
	ID       string            `json:"id"`
	Payload  string            `json:"payload"`
	ExitCode int               `json:"exit_code"`

	// Of a request.
	Method   string            `json:"method"`
	Path     string            `json:"path"`
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	Response response          `json:"response"`

	Signal string `json:"signal"` // of a kill

	Protocol string `json:"protocol_type"` // of a connection
}

// steps are the operations, in whichever form they are written.
func (s specification) steps() []operation {
	if len(s.Operations) > 0 {
		return s.Operations
	}
	run, wait := s.operation, s.operation
	run.Type, wait.Type = "run", "wait"
	return []operation{run, wait}
}

func readJSON(path string, into any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// runner runs programs with one command.
type runner struct {
	command []string
	limit   time.Duration
}

// program runs one program. The error says what the program did wrong, or is a leftOut.
func (r runner) program(ctx context.Context, file string) error {
	var s specification
	if err := readJSON(strings.TrimSuffix(file, ".wasm")+".json", &s); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if lacks := s.lacks(); len(lacks) > 0 {
		return leftOut("it needs " + strings.Join(lacks, ", "))
	}
	scratch, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return fmt.Errorf("making a folder for the program's files: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	ctx, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	env, stop, err := s.serve(ctx)
	if err != nil {
		return err
	}
	defer stop()
	s.env = env
	return r.operate(ctx, file, scratch, s)
}

// operate carries out the operations on a program, one after the other.
func (r runner) operate(ctx context.Context, file, scratch string, s specification) error {
	var p *process
	defer func() {
		if p != nil {
			p.kill()
		}
	}()
	for _, o := range s.steps() {
		if p == nil && o.Type != "run" {
			return fmt.Errorf("operation %q comes before the program runs", o.Type)
		}
		var err error
		switch o.Type {
		case "run":
			if p != nil {
				return errors.New("the program is run twice")
			}
			p, err = r.start(ctx, file, scratch, s, o)
		case "write":
			err = p.write(o.Payload)
		case "read":
			err = p.read(o.ID, o.Payload)
		case "connect":
			err = p.connect(ctx, o)
		case "send":
			err = p.send(o.ID, o.Payload)
		case "recv":
			err = p.receive(o.ID, o.Payload)
		case "request":
			err = p.request(ctx, o)
		case "kill":
			err = p.signal(o.Signal)
		case "wait":
			if e := p.wait(); p.signalled {
				err = e.err // a program that is told to end has no exit code of its own
			} else {
				err = s.judge(e, o.ExitCode)
			}
		default:
			err = fmt.Errorf("operation %q: %w", o.Type, errUnknownOperation)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("it did not end within %s", r.limit)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r runner) start(ctx context.Context, file, scratch string, s specification, o operation) (*process, error) {
	args, err := r.arguments(file, scratch, s, o)
	if err != nil {
		return nil, err
	}
	return start(exec.CommandContext(ctx, r.command[0], append(r.command[1:len(r.command):len(r.command)], args...)...))
}

// arguments are the arguments after the command: the program's environment, files and arguments.
func (r runner) arguments(file, scratch string, s specification, o operation) ([]string, error) {
	var args []string
	if s.World == service {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	if s.networked(file) || len(s.env) > 0 {
		args = append(args, "--egress", "*")
	}
	for _, env := range []map[string]string{o.Env, s.env} {
		for _, name := range sortedKeys(env) {
			args = append(args, "--env", name+"="+env[name])
		}
	}
	share := func(dir, guest string) error {
		to := filepath.Join(scratch, filepath.Base(dir))
		if err := os.CopyFS(to, os.DirFS(filepath.Join(filepath.Dir(file), dir))); err != nil {
			return fmt.Errorf("copying the program's files: %w", err)
		}
		args = append(args, "--dir", to+"::"+guest)
		return nil
	}
	if o.Root != "" {
		if err := share(o.Root, "/"); err != nil {
			return nil, err
		}
	}
	for _, dir := range s.Dirs {
		if err := share(dir, "/"+dir); err != nil {
			return nil, err
		}
	}
	return append(append(args, "--argv0", filepath.Base(file), file), o.Args...), nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// judge compares the result of a program that has ended with the expected one.
func (s specification) judge(p ended, code int) error {
	if p.err != nil {
		return p.err
	}
	if p.code != code {
		return fmt.Errorf("exit code %d, want %d: %s", p.code, code, tail(p.stderr))
	}
	if s.Stdout != nil && p.stdout != *s.Stdout {
		return fmt.Errorf("stdout %q, want %q", p.stdout, *s.Stdout)
	}
	if s.Stderr != nil && p.stderr != *s.Stderr {
		return fmt.Errorf("stderr %q, want %q", p.stderr, *s.Stderr)
	}
	return nil
}

// tail is the end of a message. It is short enough for a table.
func tail(s string) string {
	const most = 300
	s = strings.TrimSpace(s)
	if len(s) > most {
		s = "…" + s[len(s)-most:]
	}
	return s
}
