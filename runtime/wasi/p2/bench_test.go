package p2_test

import (
	"io"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// BenchmarkCall measures functions as the host has them, from core values to core values, without
// an engine.
func BenchmarkCall(b *testing.B) {
	const output = "wasi:io/streams#[method]output-stream."
	for _, bench := range []struct {
		name, before, call string
		between            string // a call before each
		args               []uint64
	}{
		{"write 4 KiB", "wasi:cli/stdout#get-stdout", output + "write", output + "check-write", []uint64{1, 64, 4096, 48}},
		{"blocking-write-and-flush 4 KiB", "wasi:cli/stdout#get-stdout", output + "blocking-write-and-flush", "", []uint64{1, 64, 4096, 48}},
		{"get-random-bytes 32", "", "wasi:random/random#get-random-bytes", "", []uint64{32, 48}},
		{"now", "", "wasi:clocks/monotonic-clock#now", "", nil},
		{"subscribe-duration", "", "wasi:clocks/monotonic-clock#subscribe-duration", "", []uint64{0}},
		{"poll", "wasi:clocks/monotonic-clock#subscribe-duration", "wasi:io/poll#poll", "", []uint64{32, 1, 48}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			r := newRig(b, b.Context(), wasi.Config{Mounts: []wasi.Mount{{Host: b.TempDir(), Guest: "/"}}, Stdout: io.Discard})
			call := func(f *function, args []uint64) {
				if f == nil {
					return
				}
				for i, a := range args {
					r.flat[i].Bits = a
				}
				r.guest.Next, r.guest.Reallocs = 1<<16, r.guest.Reallocs[:0]
				if err := r.run(f); err != nil {
					b.Fatal(err)
				}
			}
			call(r.find(b, bench.before), nil)
			r.guest.Mem[32] = 1
			f, between := r.find(b, bench.call), r.find(b, bench.between)
			for b.Loop() {
				call(between, []uint64{1, 56})
				call(f, bench.args)
				if bench.name == "subscribe-duration" {
					r.drop(1)
				}
			}
			for i := range r.guest.Table {
				r.drop(i)
			}
			if err := r.close(); err != nil {
				b.Error(err)
			}
		})
	}
}
