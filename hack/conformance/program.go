package main

import (
	"bytes"
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
// form has a list of operations, of which programs of preview 1 need three.
type specification struct {
	Args     []string          `json:"args"`
	Env      map[string]string `json:"env"`
	Root     string            `json:"root"`
	Dirs     []string          `json:"dirs"` // in older suites: folders that the program sees below /
	ExitCode int               `json:"exit_code"`
	Stdout   *string           `json:"stdout"`
	Stderr   *string           `json:"stderr"`

	Operations []operation `json:"operations"`
}

type operation struct {
	Type     string            `json:"type"`
	Args     []string          `json:"args"`
	Env      map[string]string `json:"env"`
	Root     string            `json:"root"`
	ID       string            `json:"id"`
	Payload  string            `json:"payload"`
	ExitCode int               `json:"exit_code"`
}

// flatten turns a list of operations into the older form.
func (s *specification) flatten() error {
	for _, o := range s.Operations {
		switch o.Type {
		case "run":
			s.Args, s.Env, s.Root = o.Args, o.Env, o.Root
		case "read":
			payload := o.Payload
			if o.ID == "stderr" {
				s.Stderr = &payload
			} else {
				s.Stdout = &payload
			}
		case "wait":
			s.ExitCode = o.ExitCode
		default:
			return fmt.Errorf("operation %q: %w", o.Type, errUnknownOperation)
		}
	}
	return nil
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

// program runs one program. The error says what the program did wrong.
func (r runner) program(ctx context.Context, file string) error {
	var s specification
	if err := readJSON(strings.TrimSuffix(file, ".wasm")+".json", &s); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.flatten(); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return fmt.Errorf("making a folder for the program's files: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	args, err := r.arguments(file, scratch, s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.command[0], append(r.command[1:len(r.command):len(r.command)], args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("running %s: %w", r.command[0], err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("it did not end within %s", r.limit)
	}
	return s.judge(cmd.ProcessState.ExitCode(), stdout.String(), stderr.String())
}

// arguments are the arguments after the command: the program's environment, files and arguments.
func (r runner) arguments(file, scratch string, s specification) ([]string, error) {
	var args []string
	for _, name := range sortedKeys(s.Env) {
		args = append(args, "--env", name+"="+s.Env[name])
	}
	share := func(dir, guest string) error {
		to := filepath.Join(scratch, filepath.Base(dir))
		if err := os.CopyFS(to, os.DirFS(filepath.Join(filepath.Dir(file), dir))); err != nil {
			return fmt.Errorf("copying the program's files: %w", err)
		}
		args = append(args, "--dir", to+"::"+guest)
		return nil
	}
	if s.Root != "" {
		if err := share(s.Root, "/"); err != nil {
			return nil, err
		}
	}
	for _, dir := range s.Dirs {
		if err := share(dir, "/"+dir); err != nil {
			return nil, err
		}
	}
	return append(append(args, "--argv0", filepath.Base(file), file), s.Args...), nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// judge compares the result of a program with the expected one.
func (s specification) judge(code int, stdout, stderr string) error {
	if code != s.ExitCode {
		return fmt.Errorf("exit code %d, want %d: %s", code, s.ExitCode, tail(stderr))
	}
	if s.Stdout != nil && stdout != *s.Stdout {
		return fmt.Errorf("stdout %q, want %q", stdout, *s.Stdout)
	}
	if s.Stderr != nil && stderr != *s.Stderr {
		return fmt.Errorf("stderr %q, want %q", stderr, *s.Stderr)
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
