package binary

import (
	"encoding/json"
	"reflect"
	"testing"
)

// show is what a test prints of definitions.
func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestBuiltins(t *testing.T) {
	options := bytesOf(2, optionMemory, 3, optionRealloc, 5)
	o := Options{Memory: of(uint32(3)), Realloc: of(uint32(5))}
	for _, c := range []struct {
		b    []byte
		want Builtin
	}{
		{bytesOf(0x02, 7), Builtin{Op: ResourceNew, Type: 7}},
		{bytesOf(0x03, 7), Builtin{Op: ResourceDrop, Type: 7}},
		{bytesOf(0x04, 7), Builtin{Op: ResourceRep, Type: 7}},
		{bytesOf(0x05), Builtin{Op: TaskCancel}},
		{bytesOf(0x06, 1), Builtin{Op: SubtaskCancel, Async: true}},
		{bytesOf(0x06, 0), Builtin{Op: SubtaskCancel}},
		{bytesOf(0x09, 1, 0, options), Builtin{Op: TaskReturn, Options: o}},
		{bytesOf(0x09, 0, 0x79, 0), Builtin{Op: TaskReturn, Result: &ValType{Prim: U32}}},
		{bytesOf(0x0a, 0x7f, 1), Builtin{Op: ContextGet, Slot: 1}},
		{bytesOf(0x0b, 0x7e, 0), Builtin{Op: ContextSet, Core: CoreValType{Kind: CoreI64}}},
		{bytesOf(0x0c, 1), Builtin{Op: ThreadYield, Async: true}},
		{bytesOf(0x0d), Builtin{Op: SubtaskDrop}},
		{bytesOf(0x0e, 7), Builtin{Op: StreamNew, Type: 7}},
		{bytesOf(0x0f, 7, options), Builtin{Op: StreamRead, Type: 7, Options: o}},
		{bytesOf(0x10, 7, options), Builtin{Op: StreamWrite, Type: 7, Options: o}},
		{bytesOf(0x11, 7, 1), Builtin{Op: StreamCancelRead, Type: 7, Async: true}},
		{bytesOf(0x12, 7, 0), Builtin{Op: StreamCancelWrite, Type: 7}},
		{bytesOf(0x13, 7), Builtin{Op: StreamDropReadable, Type: 7}},
		{bytesOf(0x14, 7), Builtin{Op: StreamDropWritable, Type: 7}},
		{bytesOf(0x15, 7), Builtin{Op: FutureNew, Type: 7}},
		{bytesOf(0x16, 7, options), Builtin{Op: FutureRead, Type: 7, Options: o}},
		{bytesOf(0x17, 7, options), Builtin{Op: FutureWrite, Type: 7, Options: o}},
		{bytesOf(0x18, 7, 0), Builtin{Op: FutureCancelRead, Type: 7}},
		{bytesOf(0x19, 7, 1), Builtin{Op: FutureCancelWrite, Type: 7, Async: true}},
		{bytesOf(0x1a, 7), Builtin{Op: FutureDropReadable, Type: 7}},
		{bytesOf(0x1b, 7), Builtin{Op: FutureDropWritable, Type: 7}},
		{bytesOf(0x1c, options), Builtin{Op: ErrorContextNew, Options: o}},
		{bytesOf(0x1d, options), Builtin{Op: ErrorContextDebugMessage, Options: o}},
		{bytesOf(0x1e), Builtin{Op: ErrorContextDrop}},
		{bytesOf(0x1f), Builtin{Op: WaitableSetNew}},
		{bytesOf(0x20, 1, 3), Builtin{Op: WaitableSetWait, Async: true, Memory: 3}},
		{bytesOf(0x21, 0, 3), Builtin{Op: WaitableSetPoll, Memory: 3}},
		{bytesOf(0x22), Builtin{Op: WaitableSetDrop}},
		{bytesOf(0x23), Builtin{Op: WaitableJoin}},
		{bytesOf(0x24), Builtin{Op: BackpressureInc}},
		{bytesOf(0x25), Builtin{Op: BackpressureDec}},
		{bytesOf(0x26), Builtin{Op: ThreadIndex}},
		{bytesOf(0x27, 7, 2), Builtin{Op: ThreadNewIndirect, Type: 7, Table: 2}},
		{bytesOf(0x28), Builtin{Op: ThreadResumeLater}},
		{bytesOf(0x29, 1), Builtin{Op: ThreadSuspend, Async: true}},
		{bytesOf(0x2a, 1), Builtin{Op: ThreadSuspendThenResume, Async: true}},
		{bytesOf(0x2b, 1), Builtin{Op: ThreadYieldThenResume, Async: true}},
		{bytesOf(0x2c, 0), Builtin{Op: ThreadSuspendThenPromote}},
		{bytesOf(0x2d, 0), Builtin{Op: ThreadYieldThenPromote}},
		{bytesOf(0x40, 1, 7), Builtin{Op: ThreadSpawnRef, Async: true, Type: 7}},
		{bytesOf(0x41, 0, 7, 2), Builtin{Op: ThreadSpawnIndirect, Type: 7, Table: 2}},
		{bytesOf(0x42, 0), Builtin{Op: ThreadAvailableParallelism}},
	} {
		got := placeless(decode(t, component(section(sectionCanon, 1, c.b)))).Definitions[0]
		if !reflect.DeepEqual(got, Definition(&c.want)) {
			t.Errorf("% x: %s, want %s", c.b, show(got), show(c.want))
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want Options
	}{
		{bytesOf(0), Options{}},
		{bytesOf(1, 0), Options{Encoding: of(UTF8)}},
		{bytesOf(1, 1), Options{Encoding: of(UTF16)}},
		{bytesOf(1, 2), Options{Encoding: of(Latin1UTF16)}},
		{bytesOf(5, 3, 1, 4, 2, 5, 3, 6, 7, 4), Options{Memory: of(uint32(1)), Realloc: of(uint32(2)), PostReturn: of(uint32(3)),
			Async: true, Callback: of(uint32(4))}},
		{bytesOf(2, 0, 1), Options{Encoding: of(UTF16), Repeated: "string-encoding"}},
		{bytesOf(2, 3, 0, 3, 0), Options{Memory: of(uint32(0)), Repeated: "memory"}},
		{bytesOf(2, 4, 0, 4, 0), Options{Realloc: of(uint32(0)), Repeated: "realloc"}},
		{bytesOf(2, 5, 0, 5, 0), Options{PostReturn: of(uint32(0)), Repeated: "post-return"}},
		{bytesOf(2, 6, 6), Options{Async: true, Repeated: "async"}},
		{bytesOf(2, 7, 0, 7, 0), Options{Callback: of(uint32(0)), Repeated: "callback"}},
	} {
		got := find[*Lower](decode(t, component(section(sectionCanon, 1, canonLower, 0, 0, c.b))))[0].Options
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("% x: %s, want %s", c.b, show(got), show(c.want))
		}
	}
}
