package p2_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/testnetwork"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// special are numbers that guests seldom mean.
var special = [...]uint64{
	0, 1, 16, 255, 4096, 4097, 65535, 65536, 1 << 17, 1<<17 - 4, math.MaxInt32, math.MaxUint32, 1 << 32, math.MaxInt64, 1 << 63, math.MaxUint64,
}

// FuzzCalls calls functions with any numbers, and drops handles in any order. Each input is a list
// of calls: the number of a function, or of a drop, and one byte for each of its core values.
// Whatever the guest does, the host must not panic, and must have nothing of it when all is
// dropped.
func FuzzCalls(f *testing.F) {
	r := newRig(f, f.Context(), wasi.Config{Mounts: []wasi.Mount{{Host: f.TempDir(), Guest: "/"}}})
	number := map[string]byte{}
	for i := range r.functions {
		number[r.functions[i].name] = byte(i)
	}
	if err := r.close(); err != nil {
		f.Fatal(err)
	}
	const descriptor, streams = "wasi:filesystem/types#[method]descriptor.", "wasi:io/streams#[method]"
	drop := byte(len(number))
	f.Add([]byte{ // open "a", write to it and read it, through streams; drop what they came from
		number["wasi:filesystem/preopens#get-directories"], 48,
		number[descriptor+"open-at"], 1, 1, 0, 1, 1, 3, 48,
		number[descriptor+"write-via-stream"], 2, 0, 48,
		number[descriptor+"read-via-stream"], 2, 0, 48,
		drop, 2,
		number[streams+"output-stream.check-write"], 3, 48,
		number[streams+"output-stream.write"], 3, 0, 9, 48,
		number[streams+"input-stream.read"], 4, 255, 48,
		number[streams+"input-stream.subscribe"], 4,
		number[streams+"output-stream.splice"], 3, 4, 5, 48,
		drop, 4, drop, 3, number["wasi:io/poll#[method]pollable.ready"], 2,
	})
	f.Add([]byte{ // fields, a request and its body
		number["wasi:http/types#[constructor]fields"],
		number["wasi:http/types#[method]fields.append"], 1, 0, 1, 0, 3, 48,
		number["wasi:http/types#[constructor]outgoing-request"], 1,
		number["wasi:http/types#[method]outgoing-request.headers"], 1,
		number["wasi:http/types#[method]outgoing-request.body"], 1, 48,
		number["wasi:http/outgoing-handler#handle"], 1, 0, 0, 48,
	})
	f.Add([]byte{ // wait for a list of pollables
		number["wasi:clocks/monotonic-clock#subscribe-duration"], 0,
		number["wasi:clocks/monotonic-clock#subscribe-instant"], 255,
		number["wasi:cli/stdin#get-stdin"],
		number[streams+"input-stream.subscribe"], 3,
		number["wasi:io/poll#poll"], 32, 2, 48,
	})
	for i := range r.functions { // each function once, with the handle of "/" where it takes one
		calls := []byte{number["wasi:filesystem/preopens#get-directories"], 48, byte(i)}
		for range r.functions[i].sig.Params {
			calls = append(calls, 1)
		}
		f.Add(calls)
	}
	const sockets, retptr = "wasi:sockets/", 48
	any := []byte{0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0} // an address, without a port
	to := []byte{0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	call := func(name string, args ...byte) []byte { return append([]byte{number[sockets+name]}, args...) }
	f.Add(slices.Concat( // a listening socket, and a connection
		call("instance-network#instance-network"), call("tcp-create-socket#create-tcp-socket", 0, retptr),
		call("tcp#[method]tcp-socket.start-bind", append([]byte{2, 1}, append(any, retptr)...)...),
		call("tcp#[method]tcp-socket.finish-bind", 2, retptr), call("tcp#[method]tcp-socket.start-listen", 2, retptr),
		call("tcp#[method]tcp-socket.finish-listen", 2, retptr), call("tcp#[method]tcp-socket.accept", 2, retptr),
		call("tcp-create-socket#create-tcp-socket", 0, retptr),
		call("tcp#[method]tcp-socket.start-connect", append([]byte{3, 1}, append(to, retptr)...)...),
		call("tcp#[method]tcp-socket.subscribe", 3), []byte{number["wasi:io/poll#[method]pollable.block"], 4},
		call("tcp#[method]tcp-socket.finish-connect", 3, retptr),
		[]byte{number[streams+"output-stream.check-write"], 6, retptr, number[streams+"output-stream.write"], 6, 0, 9, retptr},
		[]byte{drop, 3, number[streams+"input-stream.blocking-read"], 5, 9, retptr, drop, 6, drop, 5},
	))
	f.Add(slices.Concat( // datagrams
		call("instance-network#instance-network"), call("udp-create-socket#create-udp-socket", 0, retptr),
		call("udp#[method]udp-socket.start-bind", append([]byte{2, 1}, append(any, retptr)...)...), call("udp#[method]udp-socket.finish-bind", 2, retptr),
		call("udp#[method]udp-socket.stream", append([]byte{2, 1}, append(to, retptr)...)...),
		call("udp#[method]outgoing-datagram-stream.check-send", 4, retptr), call("udp#[method]outgoing-datagram-stream.send", 4, 64, 1, retptr),
		call("udp#[method]incoming-datagram-stream.receive", 3, 9, retptr), call("ip-name-lookup#resolve-addresses", 1, 0, 9, retptr),
		call("ip-name-lookup#[method]resolve-address-stream.resolve-next-address", 5, retptr),
	))
	network := testnetwork.Sealed(f)
	f.Fuzz(func(t *testing.T, calls []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		n := network()
		r := newRig(t, ctx, wasi.Config{
			Mounts: []wasi.Mount{{Host: t.TempDir(), Guest: "/"}}, Stdin: strings.NewReader("input"), MaxDescriptors: 20,
			Network: n,
		})
		copy(r.guest.Mem, "a/b..//.\x00name\xff")
		r.guest.Mem[32], r.guest.Mem[36] = 1, 2 // a list of handles
		next := func() (b byte) {
			if len(calls) > 0 {
				b, calls = calls[0], calls[1:]
			}
			return b
		}
		var err error
		for range 100 {
			if len(calls) == 0 || err != nil {
				break
			}
			r.guest.Next = 1 << 16
			index := int(next())
			if index >= len(r.functions) {
				r.drop(int(next()))
				continue
			}
			fn := &r.functions[index]
			for i := range fn.sig.Params {
				b := next()
				r.flat[i].Bits = uint64(b)
				if b >= 240 {
					r.flat[i].Bits = special[b-240]
				}
			}
			err = r.run(fn)
		}
		for i := range r.guest.Table {
			r.drop(i)
		}
		if held := r.host.Held(); err == nil && held != 0 {
			t.Errorf("the guest holds %d resources, and has no handle", held)
		}
		if err := r.close(); err != nil {
			t.Error(err)
		}
		if left := len(n.Watched()); left != 0 {
			t.Errorf("%d connections are watched after the guest's end", left)
		}
	})
}
