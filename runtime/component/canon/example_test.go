package canon_test

import (
	le "encoding/binary"
	"errors"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/plan"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// What a generator writes for
//
//	resource descriptor {
//	    read: func(length: u64, offset: u64) -> result<tuple<list<u8>, bool>, error-code>;
//	}
//	get-arguments: func() -> list<string>;
//	move: func(to: point, how: option<list<string>>);
//
// is an interface for each resource and interface of WIT, the types of its functions, and a stub
// for each function. A type of WIT that has a name in Go gets functions that lift and lower it.

type errorCode uint8

func (e errorCode) Error() string { return [...]string{"access", "again"}[e] }

type point struct{ x, y int32 }

type descriptor interface {
	Read(length, offset uint64) (data []byte, end bool, err error)
}

type host interface {
	GetArguments() []string
	Move(to point, how *[]string)
}

var (
	u8, u64, s32 = types.Prim(types.U8), types.Prim(types.U64), types.Prim(types.S32)
	text, flag   = types.Prim(types.String), types.Prim(types.Bool)

	descriptorResource = &types.Resource{Name: "descriptor"}
	borrowed           = types.New(types.Type{Kind: types.Borrow, Resource: descriptorResource})
	errorCodeType      = types.New(types.Type{Kind: types.Enum, Labels: []string{"access", "again"}})
	pointType          = types.New(types.Type{Kind: types.Record, Labels: []string{"x", "y"}, Elems: []*types.Type{s32, s32}})
	readType           = types.NewFunc(types.Func{
		Params: []types.Param{{Label: "self", Type: borrowed}, {Label: "length", Type: u64}, {Label: "offset", Type: u64}},
		Result: types.New(types.Type{Kind: types.Result, Elems: []*types.Type{tuple(list(u8), flag), errorCodeType}}),
	})
	getArgumentsType = types.NewFunc(types.Func{Result: list(text)})
	moveType         = types.NewFunc(types.Func{Params: []types.Param{
		{Label: "to", Type: pointType},
		{Label: "how", Type: types.New(types.Type{Kind: types.Option, Elems: []*types.Type{nil, list(text)}})},
	}})
)

func readStub(c *canon.Call) {
	self := c.Arg(0).Handle().Host.(descriptor)
	length := c.Arg(1).U64()
	offset := c.Arg(2).U64()
	data, end, err := self.Read(length, offset)
	result := c.Result()
	if err != nil {
		code, _ := errors.AsType[errorCode](err)
		result.Case(1).Case(int(code))
		return
	}
	ok := result.Case(0)
	ok.Field(0).Bytes(data)
	ok.Field(1).Bool(end)
}

func getArgumentsStub(c *canon.Call) {
	arguments := c.Host.(host).GetArguments()
	places := c.Result().List(len(arguments))
	for i, argument := range arguments {
		places.At(i).String(argument)
	}
}

func moveStub(c *canon.Call) {
	to := liftPoint(c.Arg(0))
	var how *[]string
	if v, ok := c.Arg(1).Some(); ok {
		l := v.List()
		all := make([]string, l.Reserve(16))
		for i := range all {
			all[i] = l.At(i).String()
		}
		how = &all
	}
	c.Host.(host).Move(to, how)
}

func liftPoint(v canon.Value) point { return point{v.Field(0).S32(), v.Field(1).S32()} }

// This is what a person writes.

type file string

func (f file) Read(length, offset uint64) (data []byte, end bool, err error) {
	if offset > uint64(len(f)) {
		return nil, false, errorCode(1)
	}
	data = []byte(f)[offset:]
	return data[:min(length, uint64(len(data)))], length >= uint64(len(data)), nil
}

type program struct{}

func (program) GetArguments() []string       { return []string{"ls", "-l", "日本"} }
func (program) Move(to point, how *[]string) { fmt.Println("move to", to, "how:", *how) }

// call calls a stub as the instance does for a guest, whose core values these are.
func call(g *canontest.Guest, stub canon.Stub, fn *types.Func, params ...uint64) (result plan.Value) {
	flat := values(params...)
	signature := fn.Lowered(false)
	c := canon.Call{Host: program{}}
	c.Begin(g, g.Mem, flat[:], fn, &signature)
	stub(&c)
	return flat[0]
}

func number(b []byte) uint64 { return uint64(le.LittleEndian.Uint32(b)) }

func Example() {
	guest := canontest.NewGuest(4096, binary.UTF8)
	handle := guest.LowerHandle(borrowed, canon.Handle{Host: file("hello, world")})
	const out = 1024
	var f canon.Frame
	guest.Begin(&f, nil)

	call(guest, readStub, readType, uint64(handle), 5, 7, out)
	fmt.Println(canontest.Lift(f.LiftAt(readType.Result, out)))
	call(guest, readStub, readType, uint64(handle), 5, 99, out)
	fmt.Println(canontest.Lift(f.LiftAt(readType.Result, out)))

	call(guest, getArgumentsStub, getArgumentsType, out)
	fmt.Println(canontest.Lift(f.LiftAt(getArgumentsType.Result, out)))

	// The list that it got is an argument of the next call.
	at, n := guest.Mem[out:], guest.Mem[out+4:]
	call(guest, moveStub, moveType, 3, 1<<32-4, 1, number(at), number(n))
	// Output:
	// {0 [[119 111 114 108 100] true]}
	// {1 {1 <nil>}}
	// [ls -l 日本]
	// move to {3 -4} how: [ls -l 日本]
}
