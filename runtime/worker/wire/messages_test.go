package wire

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// fill sets every field to a value that is not its zero value.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.MustParseAddr("fd00::7")))
		return
	case netip.AddrPort:
		v.Set(reflect.ValueOf(netip.MustParseAddrPort("10.1.2.3:53")))
		return
	case netip.Prefix:
		v.Set(reflect.ValueOf(netip.MustParsePrefix("10.1.2.3/16")))
		return
	case runtime.Protocol:
		v.Set(reflect.ValueOf(runtime.UDP))
		return
	case runtime.Decider:
		v.Set(reflect.ValueOf(runtime.ByPolicy))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1<<31 - 1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint64:
		v.SetUint(99)
	case reflect.Float64:
		v.SetFloat(2.5)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Map: // of numbers
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf(204), reflect.ValueOf(uint64(7)))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(12, 345)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	default:
		panic("no value for " + v.Type().String())
	}
}

// addresses are compared as values.
var addresses = cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{})

func TestNothingIsLostOnTheWire(t *testing.T) {
	var spec runtime.Spec
	fill(reflect.ValueOf(&spec).Elem())
	spec.Args, spec.Env, spec.Module, spec.Mounts[0].Host = []string{"a\xff"}, []string{"A=\xfe", ""}, "/\xfd", "/\xfc"
	var exit runtime.Exit
	fill(reflect.ValueOf(&exit).Elem())
	exit.Reason = runtime.OOMKilled
	var stats runtime.Stats
	fill(reflect.ValueOf(&stats).Elem())

	send := func(in, out proto.Message) {
		t.Helper()
		data, err := Codec.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		defer data.Free()
		if err := Codec.Unmarshal(data, out); err != nil {
			t.Fatal(err)
		}
	}
	var gotSpec workerpb.Spec
	send(ToSpec(spec), &gotSpec)
	if diff := cmp.Diff(spec, FromSpec(&gotSpec), addresses); diff != "" {
		t.Errorf("Spec (-sent +received):\n%s", diff)
	}
	var gotExit workerpb.Exit
	send(ToExit(exit), &gotExit)
	if diff := cmp.Diff(exit, FromExit(&gotExit)); diff != "" {
		t.Errorf("Exit (-sent +received):\n%s", diff)
	}
	var gotStats workerpb.Stats
	send(ToStats("id", stats), &gotStats)
	if diff := cmp.Diff(stats, FromStats(&gotStats)); diff != "" {
		t.Errorf("Stats (-sent +received):\n%s", diff)
	}
	var span runtime.HTTPSpan
	fill(reflect.ValueOf(&span).Elem())
	span.Status, span.Path = 204, "/käse"
	var gotSpans workerpb.SpansResponse
	send(ToSpans([]runtime.HTTPSpan{span}, 3), &gotSpans)
	if spans, dropped := FromSpans(&gotSpans); dropped != 3 || cmp.Diff([]runtime.HTTPSpan{span}, spans) != "" {
		t.Errorf("Spans: %d dropped, %s", dropped, cmp.Diff([]runtime.HTTPSpan{span}, spans))
	}
}

func TestExitWithoutTimesHasNone(t *testing.T) {
	if e := FromExit(ToExit(runtime.Exit{})); !e.StartedAt.IsZero() || !e.FinishedAt.IsZero() {
		t.Errorf("exit: %+v", e)
	}
}
