package sample_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/hack/witgen/sample"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// program is the host's state of a guest, and its functions.
type program struct {
	host   *sample.Host
	ctx    context.Context //nolint:containedctx // Begin returns it, as a host's state of a guest does
	begun  int
	got    any // what a function got last
	quiet  bool
	made   []*thing
	ends   []*types.Type // types of ends that were made
	answer func(string, error)
}

// see keeps what a function got.
func (p *program) see(v any) {
	if !p.quiet {
		p.got = v
	}
}

func clone(photo []byte) []byte { return bytes.Clone(photo) }

func (p *program) EchoBool(_ context.Context, v bool) (bool, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoS8(_ context.Context, v int8) (int8, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoU8(_ context.Context, v uint8) (uint8, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoS16(_ context.Context, v int16) (int16, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoU16(_ context.Context, v uint16) (uint16, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoS32(_ context.Context, v int32) (int32, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoU32(_ context.Context, v uint32) (uint32, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoS64(_ context.Context, v int64) (int64, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoU64(_ context.Context, v sample.Size) (sample.Size, error) {
	if p.quiet {
		return v, nil
	}
	p.see(v)
	return v, nil
}

func (p *program) EchoF32(_ context.Context, v float32) (float32, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoF64(_ context.Context, v float64) (float64, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoChar(_ context.Context, v rune) (rune, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoString(_ context.Context, v string) (string, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoColor(_ context.Context, v sample.Color) (sample.Color, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoRights(_ context.Context, v sample.Rights) (sample.Rights, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoPoint(_ context.Context, v sample.Point) (sample.Point, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoPerson(_ context.Context, v sample.Person) (sample.Person, error) {
	v.Photo = clone(v.Photo)
	p.see(v)
	return v, nil
}

func (p *program) EchoShape(_ context.Context, v sample.Shape) (sample.Shape, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoBlob(_ context.Context, v sample.Blob) (sample.Blob, error) {
	if p.quiet {
		return v, nil
	}
	v = clone(v)
	p.see(v)
	return v, nil
}

func (p *program) EchoList(_ context.Context, v []sample.Person) ([]sample.Person, error) {
	for i := range v {
		v[i].Photo = clone(v[i].Photo)
	}
	p.see(v)
	return v, nil
}

func (p *program) EchoFixed(_ context.Context, v [3]uint16) ([3]uint16, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoTuple(_ context.Context, v typed.Tuple3[uint8, string, []uint32]) (typed.Tuple3[uint8, string, []uint32], error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoArray(_ context.Context, v [4]uint8) ([4]uint8, error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoMap(_ context.Context, v []typed.Tuple2[string, uint32]) ([]typed.Tuple2[string, uint32], error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoOption(_ context.Context, v typed.Option[typed.Option[string]]) (typed.Option[typed.Option[string]], error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoResult(_ context.Context, v []typed.Result[uint32, sample.Problem]) ([]typed.Result[uint32, sample.Problem], error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoResults(_ context.Context, v []typed.Result[typed.None, typed.None]) ([]typed.Result[typed.None, typed.None], error) {
	p.see(v)
	return v, nil
}

func (p *program) EchoLists(_ context.Context, v [][]byte) ([][]byte, error) {
	for i := range v {
		v[i] = clone(v[i])
	}
	p.see(v)
	return v, nil
}

func (p *program) Both(_ context.Context, a string, b sample.Point, c typed.Option[uint64], d sample.Blob, e []string, f sample.Shape) (typed.Tuple2[uint32, string], error) {
	p.see(fmt.Sprintf("%s %v %v %v %v %v", a, b, c, []byte(d), e, f))
	return typed.Tuple2[uint32, string]{A: 7, B: a + e[1]}, nil
}

func (p *program) Nothing(ctx context.Context) error {
	p.see(ctx.Value(contextKey{}))
	return nil
}

// errHost is a failure of the host, which ends the guest.
var errHost = errors.New("the host's disk is gone")

// try returns what the functions called try return for a number.
func try(n uint32, fails error) error {
	switch n {
	case 0:
		return nil
	case 1:
		return fails
	case 2:
		return fmt.Errorf("trying: %w", fails)
	}
	return errHost
}

func (p *program) TryNothing(_ context.Context, n uint32) error { return try(n, typed.ErrFailed) }

func (p *program) TryValue(_ context.Context, n uint32) (string, error) {
	return "done", try(n, sample.ProblemNotThere)
}

func (p *program) TryProblem(_ context.Context, n uint32) error {
	return try(n, sample.ProblemNotThere)
}

func (p *program) TryShape(_ context.Context, n uint32) (uint8, error) {
	return 9, try(n, sample.Shape{Case: sample.ShapeCircle, Circle: 1.5})
}

func (p *program) TryText(_ context.Context, n uint32) error {
	return try(n, typed.Failure[string]{Value: "no"})
}

// thing is a resource.
type thing struct {
	program *program
	name    string
	dropped bool
}

func (p *program) NewThing(_ context.Context, name string) (sample.Thing, error) {
	t := &thing{program: p, name: name}
	p.made = append(p.made, t)
	return t, nil
}

func (p *program) ThingOpen(ctx context.Context, name string) (sample.Thing, error) {
	if name == "" {
		return nil, sample.ProblemUnknown
	}
	return p.NewThing(ctx, name)
}

func (p *program) Find(ctx context.Context, name string) (typed.Option[sample.Gadget], error) {
	if name == "" {
		return typed.Option[sample.Gadget]{}, nil
	}
	t, err := p.NewThing(ctx, name)
	return typed.Some(t), err
}

func (p *program) Count(_ context.Context, all []sample.Thing) (uint32, error) {
	return uint32(len(all)), nil
}

func (t *thing) Drop() { t.dropped = true }

func (t *thing) Name(context.Context) (string, error) { return t.name, nil }

func (t *thing) Join(_ context.Context, other, take sample.Thing) ([]sample.Thing, error) {
	return []sample.Thing{take, &thing{name: t.name + other.(*thing).name}}, nil
}

func (t *thing) Wait(_ context.Context, async typed.Async[string], n uint32) (string, error) {
	switch n {
	case 0:
		return "at once", nil
	case 1:
		return "", sample.ProblemUnknown
	}
	t.program.answer = async.Later(func() { t.program.answer("", typed.ErrCancelled) })
	return "", typed.ErrLater
}

func (t *thing) WaitName(context.Context, typed.Async[string]) (string, error) { return t.name, nil }

func (t *thing) Rest(_ context.Context, async typed.Async[typed.None]) error {
	done := async.Later(nil)
	t.program.answer = func(_ string, err error) { done(typed.None{}, err) }
	return typed.ErrLater
}

// end is what the host has as the end of a stream or future.
func (p *program) end(name string) func(*types.Type) canon.Handle {
	return func(t *types.Type) canon.Handle {
		p.ends = append(p.ends, t)
		return canon.Handle{Host: name}
	}
}

func (p *program) Bytes(_ context.Context, data typed.Stream[uint8]) (typed.Tuple2[typed.Stream[uint8], typed.Future[typed.Result[typed.None, sample.Problem]]], error) {
	p.see(data.Handle.Host)
	return typed.Tuple2[typed.Stream[uint8], typed.Future[typed.Result[typed.None, sample.Problem]]]{
		A: typed.Stream[uint8]{Make: p.end("bytes")},
		B: typed.Future[typed.Result[typed.None, sample.Problem]]{Make: p.end("result")},
	}, nil
}

func (p *program) Points(_ context.Context, data typed.Stream[sample.Point]) (typed.Stream[sample.Thing], error) {
	p.see(data.Handle.Host)
	return typed.Stream[sample.Thing]{Make: p.end("things")}, nil
}

func (p *program) Signals(_ context.Context, data typed.Future[typed.None], of typed.Stream[typed.None]) (typed.Option[typed.Future[typed.None]], error) {
	p.see([]any{data.Handle.Host, of.Handle.Host})
	return typed.Some(data), nil
}

func (p *program) Explain(_ context.Context, why typed.ErrorContext) (typed.ErrorContext, error) {
	p.see(why.Handle.Host)
	return why, nil
}
