package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/validate"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2"
	p2bindings "github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// guest serves both versions of WASI.
type guest struct {
	p2 *p2.Host
	p3 *p3.Host
}

// Begin implements typed.Guest.
func (g *guest) Begin(c *canon.Call) context.Context { return g.p3.Begin(c) }

// WASIP2 implements p2bindings.Guest.
func (g *guest) WASIP2() *p2bindings.Host { return g.p2.WASIP2() }

// WASIP3 implements bindings.Guest.
func (g *guest) WASIP3() *bindings.Host { return g.p3.WASIP3() }

// program is a program that runs.
type program struct {
	stdin          *io.PipeWriter
	stdout, stderr *os.File
	files          []io.Closer
	root           string
	ended          chan error
}

func start(ctx context.Context, file string, o operation) (*program, error) {
	loaded, engine, err := load(file)
	if err != nil {
		return nil, err
	}
	p := &program{ended: make(chan error, 1)}
	if p.root, err = root(filepath.Dir(file), o.Root); err != nil {
		return nil, err
	}
	cfg := wasi.Config{
		Args:     append([]string{filepath.Base(file)}, o.Args...),
		Mounts:   []wasi.Mount{{Host: p.root, Guest: "/"}},
		Confined: true,
	}
	for k, v := range o.Env {
		cfg.Env = append(cfg.Env, k+"="+v)
	}
	in, out := io.Pipe()
	cfg.Stdin, p.stdin = in, out
	for _, to := range []struct {
		read  **os.File
		write *io.Writer
	}{{&p.stdout, &cfg.Stdout}, {&p.stderr, &cfg.Stderr}} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		*to.read, *to.write = r, w
		p.files = append(p.files, w)
	}
	host, err := wasi.New(cfg)
	if err != nil {
		return nil, err
	}
	go func() { p.ended <- life(ctx, loaded, engine, host) }()
	return p, nil
}

// life runs a program to its end.
func life(ctx context.Context, loaded *instance.Program, engine *componentengine.Engine, host *wasi.Guest) error {
	ctx, end := context.WithCancel(ctx)
	g := &guest{p2: p2.New(ctx, host), p3: p3.New(ctx, host)}
	x, err := instance.New(loaded, engine, g)
	if err == nil {
		err = call(ctx, x)
		x.Close()
	}
	end()
	return errors.Join(err, g.p2.Close(), g.p3.Close(), host.CloseInitial(), host.Close())
}

func call(ctx context.Context, x *instance.Instance) error {
	for _, name := range x.Exports().Names {
		if strings.HasPrefix(name, "wasi:cli/run@0.3") {
			var result error
			err := x.Call(ctx, x.Exports().Instance(name).Func("run"), nil, func(v canon.Value) { result = bindings.LiftRunResult(v) })
			if err == nil && result != nil {
				err = &wasi.ExitError{Code: 1}
			}
			return err
		}
	}
	return errors.New("it exports no run of WASI 0.3")
}

func load(file string) (*instance.Program, *componentengine.Engine, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	c, err := binary.Decode(data)
	if err != nil {
		return nil, nil, err
	}
	if err := validate.Validate(c); err != nil {
		return nil, nil, err
	}
	linked, err := link.Link(c)
	if err != nil {
		return nil, nil, err
	}
	p, err := instance.Bind(linked, typed.Tables{&p2bindings.Table, &bindings.Table})
	if err != nil {
		return nil, nil, err
	}
	engine, err := componentengine.New(linked.Plan)
	return p, engine, err
}

// root makes a directory like one of the suite, which the program may change.
func root(dir, name string) (string, error) {
	to, err := os.MkdirTemp("", "wasitests")
	if err != nil || name == "" {
		return to, err
	}
	return to, os.CopyFS(to, os.DirFS(filepath.Join(dir, name)))
}

func (p *program) expect(o operation) error {
	from := p.stdout
	if o.ID == "stderr" {
		from = p.stderr
	}
	got := make([]byte, len(o.Payload))
	if _, err := io.ReadFull(from, got); err != nil {
		return err
	}
	if string(got) != o.Payload {
		return fmt.Errorf("got %q, wanted %q", got, o.Payload)
	}
	return nil
}

func (p *program) wait(want uint32) error {
	_ = p.stdin.Close() // a pipe of this process
	err := <-p.ended
	var code uint32
	if exit := (*wasi.ExitError)(nil); errors.As(err, &exit) {
		code, err = exit.Code, nil
	}
	if err == nil && code == want {
		return nil
	}
	p.end()
	text, _ := io.ReadAll(io.LimitReader(p.stderr, 4096))
	return fmt.Errorf("exit code %d, wanted %d: %w; it wrote %q", code, want, err, bytes.TrimSpace(text))
}

// end ends the program's outputs.
func (p *program) end() {
	for _, f := range p.files {
		_ = f.Close() // nothing is lost: it is a pipe of this process
	}
	p.files = nil
}

func (p *program) close() {
	p.end()
	_ = p.stdin.Close()
	_, _ = p.stdout.Close(), p.stderr.Close()
	_ = os.RemoveAll(p.root) // a folder of the test
}
