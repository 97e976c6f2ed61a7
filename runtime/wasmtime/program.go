package wasmtime

import (
	"context"
	"fmt"
	"io"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/command"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/codecache"
)

// program is a component that is a command, with the code of its core modules. Any number of guests
// run it at a time.
type program struct {
	id      string // the component's digest
	command *command.Program
	plan    *componentPlan
	bytes   int64 // what this process holds for it besides the code
}

// heldPerByte is how many bytes this process holds of a component for a byte of its definitions, at
// most: see the figures of package binary. heldPerWork is the same for what linking evaluates. A
// component that instantiates another one many times has few bytes, and makes much of them.
const (
	heldPerByte = 16
	heldPerWork = 128
)

// maxReading is how many bytes of components are in this process's memory at a time, while programs
// are made of them. One that is larger is alone. Without a bound, the starts of some large ones at
// the same time could take all memory of the guests here.
const maxReading = 256 << 20

// program makes a program of a component's file in the cache. limit is the memory that its guest
// may take, in bytes.
func (ms *modules) program(ctx context.Context, digest string, f *codecache.File, limit int64) (*program, error) {
	size := min(f.Code, maxReading)
	if err := ms.reading.Acquire(ctx, size); err != nil {
		return nil, fmt.Errorf("waiting for other components to be loaded: %w", err)
	}
	defer ms.reading.Release(size)
	kept := make([]byte, f.Code)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, f.Code), kept); err != nil {
		return nil, fmt.Errorf("loading the component: %w", err)
	}
	c, err := command.Load(kept)
	if err != nil {
		return nil, err
	}
	data := c.Plan()
	definitions := f.Code
	for _, m := range data.Modules {
		definitions -= int64(len(m))
	}
	many := c.Handles() != 0 && !c.IsCommand() // instances, one after the other
	p, err := ms.programPlan(ctx, data, limit, many)
	if err != nil {
		return nil, err
	}
	data.Modules = nil // the file's bytes, which are not needed any more
	return &program{id: digest, command: c, plan: p, bytes: definitions*heldPerByte + int64(c.Work())*heldPerWork}, nil
}

// key implements unit.
func (p *program) key() string { return p.id }

// holds implements unit. The code counts with the parts.
func (p *program) holds() int64 { return p.bytes }

// close implements unit.
func (p *program) close() { p.plan.close() }
