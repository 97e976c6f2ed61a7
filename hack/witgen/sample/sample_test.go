package sample_test

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	"github.com/krustlet-go/krustlet-wasi/hack/witgen/sample"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

type (
	values = []any
	of     = canontest.Case
)

func bytesOf(b ...byte) values {
	all := values{}
	for _, x := range b {
		all = append(all, x)
	}
	return all
}

// TestEcho passes a value of each type to the host and back.
func TestEcho(t *testing.T) {
	person := values{"Ada", of{N: 1}, of{N: 1, Value: values{int32(1), int32(-2)}}, bytesOf(1, 2, 3)}
	ada := sample.Person{
		Name: "Ada", Type: sample.ColorLightGreen, At: typed.Some(sample.Point{X: 1, Y: -2}), Photo: []byte{1, 2, 3},
	}
	for _, c := range []struct {
		name string
		in   any // of the guest
		want any // of the host
	}{
		{"bool", true, true},
		{"s8", int8(-7), int8(-7)},
		{"u8", uint8(200), uint8(200)},
		{"s16", int16(-700), int16(-700)},
		{"u16", uint16(60000), uint16(60000)},
		{"s32", int32(math.MinInt32), int32(math.MinInt32)},
		{"u32", uint32(math.MaxUint32), uint32(math.MaxUint32)},
		{"s64", int64(math.MinInt64), int64(math.MinInt64)},
		{"u64", uint64(math.MaxUint64), uint64(math.MaxUint64)},
		{"f32", float32(1.5), float32(1.5)},
		{"f64", math.Pi, math.Pi},
		{"char", canontest.Char('語'), '語'},
		{"string", "", ""},
		{"string", "日本", "日本"},
		{"color", of{N: 2}, sample.ColorBlue},
		{"rights", canontest.Flags(5), sample.RightsRead | sample.RightsUse},
		{"point", values{int32(3), int32(4)}, sample.Point{X: 3, Y: 4}},
		{"person", person, ada},
		{"shape", of{N: 0}, sample.Shape{}},
		{"shape", of{N: 1, Value: 2.5}, sample.Shape{Case: sample.ShapeCircle, Circle: 2.5}},
		{
			"shape", of{N: 2, Value: values{values{int32(1), int32(2)}}},
			sample.Shape{Case: sample.ShapePolygon, Polygon: []sample.Point{{X: 1, Y: 2}}},
		},
		{
			"shape", of{N: 3, Value: values{"door", canontest.Flags(2)}},
			sample.Shape{Case: sample.ShapeLabelled, Labelled: typed.Tuple2[string, sample.Rights]{A: "door", B: sample.RightsWrite}},
		},
		{"blob", bytesOf(9, 8), []byte{9, 8}},
		{"list", values{person, person}, []sample.Person{ada, ada}},
		{"list", values{}, []sample.Person{}},
		{"lists", values{bytesOf(1), bytesOf(), bytesOf(2, 3)}, [][]byte{{1}, {}, {2, 3}}},
		{"fixed", values{uint16(1), uint16(2), uint16(3)}, [3]uint16{1, 2, 3}},
		{
			"tuple", values{uint8(1), "x", values{uint32(5)}},
			typed.Tuple3[uint8, string, []uint32]{A: 1, B: "x", C: []uint32{5}},
		},
		{"array", bytesOf(127, 0, 0, 1), [4]uint8{127, 0, 0, 1}},
		{
			"map", values{values{"a", uint32(1)}, values{"a", uint32(2)}},
			[]typed.Tuple2[string, uint32]{{A: "a", B: 1}, {A: "a", B: 2}},
		},
		{"option", of{N: 0}, typed.Option[typed.Option[string]]{}},
		{"option", of{N: 1, Value: of{N: 0}}, typed.Some(typed.Option[string]{})},
		{"option", of{N: 1, Value: of{N: 1, Value: "x"}}, typed.Some(typed.Some("x"))},
		{
			"result", values{of{N: 0, Value: uint32(5)}, of{N: 1, Value: of{N: 1}}},
			[]typed.Result[uint32, sample.Problem]{
				typed.OK[uint32, sample.Problem](5), typed.Fail[uint32](sample.ProblemNotThere),
			},
		},
		{"results", values{of{N: 0}, of{N: 1}}, []typed.Result[typed.None, typed.None]{{}, {Failed: true}}},
	} {
		r := newRig(t)
		got := r.must(valuesOf, "echo-"+c.name, c.in)
		if !reflect.DeepEqual(r.program.got, c.want) {
			t.Errorf("%s: the host got %#v, want %#v", c.name, r.program.got, c.want)
		}
		if !reflect.DeepEqual(got, c.in) {
			t.Errorf("%s: the guest got %#v, want %#v", c.name, got, c.in)
		}
	}
}

func TestManyArguments(t *testing.T) {
	r := newRig(t)
	got := r.must(valuesOf, "both", "a", values{int32(1), int32(2)}, of{N: 1, Value: uint64(3)}, bytesOf(4), values{"b", "c"}, of{N: 1, Value: 0.5})
	if want := (values{uint32(7), "ac"}); !reflect.DeepEqual(got, want) {
		t.Errorf("the guest got %v, want %v", got, want)
	}
	if want := "a {1 2} {true 3} [4] [b c] circle"; r.program.got != want {
		t.Errorf("the host got %v, want %v", r.program.got, want)
	}
	r.must(valuesOf, "nothing")
	if r.program.got != any(r.program) || r.program.begun != 2 {
		t.Errorf("the context is not that of Begin, which was called %d times", r.program.begun)
	}
}

func TestResults(t *testing.T) {
	for _, c := range []struct {
		name     string
		ok, fail any
	}{
		{"try-nothing", nil, nil},
		{"try-value", "done", of{N: 1}},
		{"try-problem", nil, of{N: 1}},
		{"try-shape", uint8(9), of{N: 1, Value: 1.5}},
		{"try-text", nil, "no"},
	} {
		r := newRig(t)
		for n, want := range []of{{N: 0, Value: c.ok}, {N: 1, Value: c.fail}, {N: 1, Value: c.fail}} {
			if got := r.must(valuesOf, c.name, uint32(n)); !reflect.DeepEqual(got, want) {
				t.Errorf("%s of %d: %v, want %v", c.name, n, got, want)
			}
		}
		_, err := r.callOf(valuesOf, c.name, uint32(3))
		if trap := (*canon.Trap)(nil); !errors.Is(err, errHost) || !errors.As(err, &trap) {
			t.Errorf("%s: the guest ends with %v", c.name, err)
		}
	}
	if text := sample.ProblemNotThere.Error(); text != "not-there" {
		t.Errorf("the error says %q", text)
	}
	if text := sample.Problem(77).Error(); text != "case 77" {
		t.Errorf("an error that is none says %q", text)
	}
}

func TestResources(t *testing.T) {
	r := newRig(t)
	own := r.must(thingsOf, "[constructor]thing", "a").(canon.Handle)
	if got := r.must(thingsOf, "[method]thing.name", own); got != "a" {
		t.Errorf("its name is %v", got)
	}
	opened := r.must(thingsOf, "[static]thing.open", "b").(of)
	if opened.N != 0 || opened.Value.(canon.Handle).Host != any(r.program.made[1]) {
		t.Errorf("opened %v", opened)
	}
	if got, want := r.must(thingsOf, "[static]thing.open", ""), (of{N: 1, Value: of{N: 0}}); got != want {
		t.Errorf("opening nothing: %v, want %v", got, want)
	}
	joined := r.must(thingsOf, "[method]thing.join", own, opened.Value, own).(values)
	if len(joined) != 2 || joined[0].(canon.Handle).Host != own.Host || joined[1].(canon.Handle).Host.(*thing).name != "ab" {
		t.Errorf("joined %v", joined)
	}
	if got := r.must(thingsOf, "find", ""); got != (of{}) {
		t.Errorf("found %v", got)
	}
	if got := r.must(thingsOf, "find", "c").(of); got.Value.(canon.Handle).Host.(*thing).name != "c" {
		t.Errorf("found %v", got)
	}
	if got := r.must(thingsOf, "count", values{own, own, own}); got != uint32(3) {
		t.Errorf("counted %v", got)
	}
}

func TestAsync(t *testing.T) {
	for n, want := range []of{{N: 0, Value: "at once"}, {N: 1, Value: of{N: 0}}} {
		r := newRig(t)
		self := canon.Handle{Host: &thing{program: r.program, name: "x"}}
		if got := r.must(thingsOf, "[method]thing.wait", self, uint32(n)); got != want || r.later != nil {
			t.Errorf("an answer at once: %v, want %v", got, want)
		}
		if got := r.must(thingsOf, "[method]thing.wait-name", self); got != "x" {
			t.Errorf("an answer without a result type: %v", got)
		}
	}
	later := []struct {
		name   string
		answer string
		err    error
		want   any
	}{
		{"[method]thing.wait", "later", nil, of{N: 0, Value: "later"}},
		{"[method]thing.wait", "", sample.ProblemNotThere, of{N: 1, Value: of{N: 1}}},
		{"[method]thing.rest", "", nil, nil},
	}
	for _, c := range later {
		r := newRig(t)
		k := r.prepareLater(c.name)
		if err := k.run(); err != nil || r.later != &k.call || r.finish != nil {
			t.Fatalf("a call that is answered later: %v, %v", err, r.later)
		}
		r.program.answer(c.answer, c.err)
		k.call.Refresh()
		r.finish(&k.call)
		if got := k.result(); got != c.want || r.ended != 1 {
			t.Errorf("%s: an answer later: %v, want %v", c.name, got, c.want)
		}
	}
}

func (r *rig) prepareLater(name string) *call {
	args := values{canon.Handle{Host: &thing{program: r.program}}}
	if name == "[method]thing.wait" {
		args = append(args, uint32(2))
	}
	return r.prepare(thingsOf, name, args...)
}

func TestAsyncEnds(t *testing.T) {
	r := newRig(t)
	k := r.prepareLater("[method]thing.wait")
	if err := k.run(); err != nil {
		t.Fatal(err)
	}
	r.cancel()
	if r.finish != nil || r.ended != 1 {
		t.Error("a call that was cancelled has a result")
	}
	r.program.answer("", errHost)
	err := func() (err error) {
		defer canon.Recover(&err)
		r.finish(&k.call)
		return nil
	}()
	if !errors.Is(err, errHost) {
		t.Errorf("a failure of the host, later: %v", err)
	}
}

func TestStreams(t *testing.T) {
	r := newRig(t)
	given := canon.Handle{Host: "given"}
	pair := r.must(portsOf, "bytes", given).(values)
	if r.program.got != "given" || pair[0].(canon.Handle).Host != "bytes" || pair[1].(canon.Handle).Host != "result" {
		t.Errorf("the host got %v, the guest %v", r.program.got, pair)
	}
	if s, f := r.program.ends[0], r.program.ends[1]; s.Kind != types.Stream || s.Elems[0].Kind != types.U8 || f.Kind != types.Future {
		t.Errorf("ends of types %v", r.program.ends)
	}
	if got := r.must(portsOf, "points", given).(canon.Handle); got.Host != "things" {
		t.Errorf("the guest got %v", got)
	}
	other := canon.Handle{Host: "other"}
	if got := r.must(portsOf, "signals", given, other); got != (of{N: 1, Value: given}) {
		t.Errorf("the guest got %v", got)
	}
	if got := r.must(portsOf, "explain", given); got != given || r.program.got != "given" {
		t.Errorf("the guest got %v", got)
	}
	if e := sample.ElementU8; e.Lift != nil || e.Lower != nil {
		t.Error("bytes are moved one by one")
	}
}

func TestLacks(t *testing.T) {
	r := newRig(t)
	if lacks := r.program.host.Lacks(); len(lacks) != 0 {
		t.Errorf("the host lacks %q", lacks)
	}
	r.program.host.Things = nil
	if lacks := r.program.host.Lacks(); !slices.Equal(lacks, []string{"sample:host/things"}) {
		t.Errorf("the host lacks %q", lacks)
	}
}

// TestElements moves a value as streams do.
func TestElements(t *testing.T) {
	r := newRig(t)
	var f canon.Frame
	r.guest.Begin(&f, nil)
	echo := sample.Table.Find(valuesOf, "echo-point")
	point := r.typeOf(echo.Result)
	at := r.guest.Realloc(0, 0, point.Align, point.Size)
	sample.ElementPoint.Lower(f.LowerAt(point, at), sample.Point{X: 5, Y: 6})
	if got := sample.ElementPoint.Lift(f.LiftAt(point, at)); got != (sample.Point{X: 5, Y: 6}) {
		t.Errorf("got %v", got)
	}
}

// TestExports passes arguments to a function of the guest, and takes its result.
func TestExports(t *testing.T) {
	r := newRig(t)
	handle := sample.Table.Find("sample:host/handler@1.0.0", "handle")
	if handle.Stub != nil || !handle.Async {
		t.Error("what only guests have is a function of the host")
	}
	fn := r.funcOf(handle)
	var f canon.Frame
	r.guest.Begin(&f, nil)
	at := r.guest.Realloc(0, 0, fn.Args.Align, fn.Args.Size)
	it := &thing{}
	sample.LowerHandlerHandleArgs(f.LowerAt(fn.Args, at), it, sample.Point{X: 1, Y: 2}, []byte{3})
	args := canontest.Lift(f.LiftAt(fn.Args, at))
	if want := (values{canon.Handle{Host: it}, values{int32(1), int32(2)}, bytesOf(3)}); !reflect.DeepEqual(args, want) {
		t.Errorf("the guest got %v, want %v", args, want)
	}
	for _, c := range []struct {
		in   any
		want string
		err  error
	}{
		{of{N: 0, Value: "fine"}, "fine", nil},
		{of{N: 1, Value: of{N: 1}}, "", sample.ProblemNotThere},
	} {
		at := r.guest.Realloc(0, 0, fn.Result.Align, fn.Result.Size)
		canontest.Lower(f.LowerAt(fn.Result, at), c.in)
		got, err := sample.LiftHandlerHandleResult(f.LiftAt(fn.Result, at))
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("the host got %q, %v, want %q, %v", got, err, c.want, c.err)
		}
	}
}

// TestAllocations holds the promise that calls do not allocate for scalars, bytes and handles.
func TestAllocations(t *testing.T) {
	for _, c := range []struct {
		iface, name string
		args        []any
	}{
		{valuesOf, "echo-u64", values{uint64(5)}},
		{valuesOf, "echo-blob", values{bytesOf(1, 2, 3)}},
		{valuesOf, "try-problem", values{uint32(1)}},
		{valuesOf, "try-nothing", values{uint32(0)}},
		{thingsOf, "[method]thing.name", values{canon.Handle{Host: &thing{}}}},
		{thingsOf, "[method]thing.wait-name", values{canon.Handle{Host: &thing{}}}},
	} {
		r := newRig(t)
		r.program.quiet = true
		k := r.prepare(c.iface, c.name, c.args...)
		flat := k.flat
		next := r.guest.Next
		r.guest.Reallocs = make([]canontest.Realloc, 0, 1000)
		n := testing.AllocsPerRun(100, func() {
			k.flat = flat
			r.guest.Next = next
			if err := k.run(); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func BenchmarkStub(b *testing.B) {
	for _, c := range []struct {
		iface, name string
		args        []any
	}{
		{valuesOf, "echo-u64", values{uint64(5)}},
		{valuesOf, "echo-string", values{"a string that has thirty-two byt"}},
		{valuesOf, "try-problem", values{uint32(1)}},
		{thingsOf, "[method]thing.wait-name", values{canon.Handle{Host: &thing{}}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := newRig(b)
			r.program.quiet = true
			k := r.prepare(c.iface, c.name, c.args...)
			flat, next := k.flat, r.guest.Next
			for b.Loop() {
				k.flat = flat
				r.guest.Next, r.guest.Reallocs = next, r.guest.Reallocs[:0]
				if err := k.run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
