package instance_test

import "testing"

// then runs instructions whose results are dropped, and returns what the last one says.
func then(steps ...string) string {
	s := ""
	for i, step := range steps {
		if i < len(steps)-1 {
			step = dropped(step)
		}
		s += step
	}
	return s
}

const (
	fillBytes = `(i64.store (i32.const 64) (i64.const 0x0807060504030201))`
	gotBytes  = `(i32.load (i32.const 128))`
	makeUnit  = `(drop (call $unit.new))`
	makeChars = `(drop (call $chars.new))`
)

// TestStreams has what reads and writes of streams return, and why they trap. Both ends are in one
// component: the readable end has handle 1, the writable end 2, and then a set 3.
func TestStreams(t *testing.T) {
	const blocked = 0xffff_ffff
	read, write := invoke("stream.read", "1", "128", "4"), invoke("stream.write", "2", "64", "4")
	for _, test := range []struct {
		name string
		code string
		want uint32
		trap string
	}{
		{"a read waits", newStream + read, blocked, ""},
		{"a write waits", newStream + write, blocked, ""},
		{"a write finds a read", newStream + then(read, write), 0x40, ""},
		{"a read finds a write", newStream + then(write, read), 0x40, ""},
		{"bytes arrive", newStream + fillBytes + then(write, read, gotBytes), 0x04030201, ""},
		{"a part is read", newStream + then(invoke("stream.write", "2", "64", "8"), read), 0x40, ""},
		{"the rest is read", newStream + fillBytes + then(invoke("stream.write", "2", "64", "8"), read, read, gotBytes), 0x08070605, ""},
		{"an event of a write", newStream + newSet + then(write, read) + `drop` + invoke("join", "2", "3") + dropped(invoke("set.poll", "3", "8")) +
			`(i32.load (i32.const 12))`, 0x40, ""},
		{"a wait for a write", newStream + newSet + invoke("join", "2", "3") + then(write, read, invoke("set.wait", "3", "8")), 3, ""},

		{"a zero read waits", newStream + invoke("stream.read", "1", "0", "0"), blocked, ""},
		{"a zero write waits", newStream + invoke("stream.write", "2", "0", "0"), blocked, ""},
		{"a zero write finds a zero read", newStream + then(invoke("stream.read", "1", "0", "0"), invoke("stream.write", "2", "0", "0")), 0, ""},
		{"a zero read finds a zero write", newStream + then(invoke("stream.write", "2", "0", "0"), invoke("stream.read", "1", "0", "0")), blocked, ""},
		{"a zero write finds a read", newStream + then(read, invoke("stream.write", "2", "0", "0")), 0, ""},
		{"a write ends a zero read", newStream + then(invoke("stream.read", "1", "0", "0"), write), blocked, ""},

		{"values without a type", makeUnit + then(invoke("unit.write", "2", "0", "1000"), invoke("unit.read", "1", "0", "10")), 10 << 4, ""},
		{"too many values without a type", makeUnit + invoke("unit.write", "2", "0", "0x10000000"), 0, "268435456 elements or more"},
		{"chars within a component", makeChars + then(invoke("chars.write", "2", "64", "1"), invoke("chars.read", "1", "128", "1")), 0, "intra-component stream"},
		{"a buffer that is not aligned", makeChars + invoke("chars.write", "2", "65", "1"), 0, "not aligned"},

		{"cancel a read", newStream + then(read, invoke("stream.cancel-read", "1")), 2, ""},
		{"cancel a write", newStream + then(write, invoke("stream.cancel-write", "2")), 2, ""},
		{"cancel a write of which a part was read", newStream + then(invoke("stream.write", "2", "64", "8"), read, invoke("stream.cancel-write", "2")), 0x42, ""},
		{"cancel a read whose writer is gone", newStream + then(read) + `drop` + invoke("stream.drop-writable", "2") + invoke("stream.cancel-read", "1"), 1, ""},
		{"cancel nothing", newStream + invoke("stream.cancel-read", "1"), 0, "that there is not"},
		{"cancel twice", newStream + then(read, invoke("stream.cancel-read", "1"), invoke("stream.cancel-read", "1")), 0, "that there is not"},
		{"cancel and wait, in a set", newStream + newSet + invoke("join", "1", "3") + then(read, invoke("stream.cancel-read", "1")), 0, "in a waitable set"},

		{"the reader is gone", newStream + invoke("stream.drop-readable", "1") + write, 1, ""},
		{"the writer is gone", newStream + invoke("stream.drop-writable", "2") + read, 1, ""},
		{"the reader goes", newStream + newSet + dropped(write) + invoke("stream.drop-readable", "1") + invoke("join", "2", "3") + invoke("set.poll", "3", "8"), 3, ""},
		{"write to no reader twice", newStream + invoke("stream.drop-readable", "1") + then(write, write), 0, "readable end dropped"},
		{"read from no writer twice", newStream + invoke("stream.drop-writable", "2") + then(read, read), 0, "writable end dropped"},
		{"drop an end that reads", newStream + dropped(read) + invoke("stream.drop-readable", "1") + n("0"), 0, "busy"},
		{"drop the wrong end", newStream + invoke("stream.drop-readable", "2") + n("0"), 0, "is no end of that type"},
		{"read twice", newStream + then(read, read), 0, "busy"},
		{"read the writable end", newStream + invoke("stream.read", "2", "128", "4"), 0, "is no end of that type"},
		{"read a stream of another type", makeUnit + read, 0, "is no end of that type"},
		{"read a future", newFuture + read, 0, "is no end of that type"},
		{"read no stream", newSet + read, 0, "is no stream"},
		{"read past the memory", newStream + invoke("stream.read", "1", "65535", "2"), 0, "outside of the memory"},
		{"read too much", newStream + invoke("stream.read", "1", "0", "0xffffffff"), 0, "268435456 elements or more"},
		{"read and wait, in a set", newStream + newSet + invoke("join", "1", "3") + invoke("stream.read-sync", "1", "128", "4"), 0, "in a waitable set"},
		{"read and wait in a function that may not", newStream + invoke("stream.read-sync", "1", "128", "4"), 0, "cannot block"},
		{"read and wait, and there is something", newStream + then(write, invoke("stream.read-sync", "1", "128", "4")), 0x40, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check(t, plain, run(test.code), nil, test.want, test.trap)
		})
	}
}

// TestFutures is TestStreams for futures.
func TestFutures(t *testing.T) {
	const blocked = 0xffff_ffff
	read, write := invoke("future.read", "1", "128"), invoke("future.write", "2", "64")
	for _, test := range []struct {
		name string
		code string
		want uint32
		trap string
	}{
		{"a read waits", newFuture + read, blocked, ""},
		{"a read finds a write", newFuture + then(write, read), 0, ""},
		{"a write finds a read", newFuture + then(read, write), 0, ""},
		{"a value arrives", newFuture + fillBytes + then(read, write, gotBytes), 0x04030201, ""},
		{"the reader is gone", newFuture + invoke("future.drop-readable", "1") + write, 1, ""},
		{"write twice", newFuture + then(read, write, write), 0, "previous write succeeded"},
		{"write after the reader is gone", newFuture + invoke("future.drop-readable", "1") + then(write, write), 0, "readable end dropped"},
		{"read twice", newFuture + then(write, read, read), 0, "previous read succeeded"},
		{"drop both", newFuture + then(write, read, invoke("future.cancel-write", "2")) + `drop` + invoke("future.drop-readable", "1") + invoke("future.drop-writable", "2") + n("6"), 6, ""},
		{"drop without a value", newFuture + invoke("future.drop-writable", "2") + n("6"), 0, "without first writing a value"},
		{"drop the reader of what waits", newFuture + dropped(write) + invoke("future.drop-readable", "1") + invoke("future.cancel-write", "2"), 1, ""},
		{"cancel a read", newFuture + then(read, invoke("future.cancel-read", "1")), 2, ""},
		{"cancel a read that has its value", newFuture + then(read, write, invoke("future.cancel-read", "1")), 0, ""},
		{"cancel a write and write again", newFuture + then(write, invoke("future.cancel-write", "2"), write), blocked, ""},
		{"cancel nothing", newFuture + invoke("future.cancel-write", "2"), 0, "that there is not"},
		{"to an address that is not aligned", newFuture + invoke("future.read", "1", "129"), 0, "not aligned"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check(t, plain, run(test.code), nil, test.want, test.trap)
		})
	}
}
