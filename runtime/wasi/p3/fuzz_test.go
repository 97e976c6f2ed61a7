package p3_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/testnetwork"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// FuzzGuest has a guest call the host's functions with handles, addresses and lengths that it made
// up. The guest may trap. The host must not panic, must end when it is told to, and must close all.
// Each call takes a byte for the function, and one for each argument.
func FuzzGuest(f *testing.F) {
	all := functionsOfWorld()
	number := map[string]byte{}
	for i, f := range all {
		number[f.name] = byte(i)
	}
	// In a new guest the directory "/" has handle 1. What is made then has 2 and 3.
	f.Add([]byte{number["read-via-stream"], 4, number["stdout"], 2, number["bytes.read-async"], 2, 5, 6})
	f.Add([]byte{number["read-via-stream"], 4, number["bytes.read-async"], 2, 5, 0, number["read-via-stream"], 4, number["bytes.read-async"], 4, 5, 0, number["bytes.read-async"], 4, 5, 6})
	f.Add([]byte{number["bytes.new"], number["stdout"], 2, number["bytes.write-async"], 3, 5, 7, number["bytes.drop-writable"], 3})
	f.Add([]byte{number["bytes.new"], number["append-via-stream"], 1, 2, number["bytes.write-async"], 3, 5, 7})
	f.Add([]byte{number["read-directory"], 1, 4, number["entries.read-async"], 2, 5, 6, number["entries.cancel-read"], 2, number["entries.drop-readable"], 2})
	f.Add([]byte{number["wait-for-async"], 9, number["set"], number["join"], 2, 3, number["cancel"], 2, number["drop-subtask"], 2})
	f.Add([]byte{number["open-at"], 1, 1, 10, 1, 1, 3, 4, number["read-file"], 2, 0, 4, number["write-via-stream"], 2, 3, 0})
	f.Add([]byte{number["fields"], number["trailer-future.new"], number["request"], 2, 0, 0, 3, 0, 0, 4, number["drop-request"], 2})
	for i, fn := range all { // each function once, with the handle of "/" where it takes one
		script := []byte{byte(i)}
		for range fn.params {
			script = append(script, 1)
		}
		f.Add(script)
	}
	address := []byte{0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	with := func(name string, self byte) []byte { return append(append([]byte{number[name], self}, address...), 4) }
	f.Add(slices.Concat([]byte{number["tcp-create"], 0, 4}, with("tcp-bind", 2), []byte{number["tcp-listen"], 2, 4, number["tcps.read-async"], 3, 5, 1}))
	f.Add(slices.Concat([]byte{number["tcp-create"], 0, 4}, with("tcp-connect", 2), []byte{number["tcp-receive"], 2, 4, number["bytes.read-async"], 3, 5, 6}))
	f.Add(slices.Concat([]byte{number["udp-create"], 0, 4}, with("udp-connect", 2), []byte{number["udp-receive-async"], 2, 4, number["cancel"], 3, number["drop-udp"], 2}))
	network := testnetwork.Sealed(f)
	f.Fuzz(func(t *testing.T, script []byte) {
		n := network()
		g, end := makeGuest(t, wasi.Config{Network: n, Stdin: strings.NewReader("some input"), Stdout: &bytes.Buffer{}})
		if err := os.WriteFile(filepath.Join(g.dir, "f"), []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
		g.root()
		g.x.Call(g.ctx, g.x.Exports().Func("put"), func(to canon.Place) { to.Field(0).Bytes([]byte("f")) }, nil)
		for len(script) > 0 {
			f := all[int(script[0])%len(all)]
			script = script[1:]
			if f.name == "exit" || f.name == "exit-with-code" {
				continue
			}
			var args []int
			for range f.params {
				if len(script) == 0 {
					break
				}
				args, script = append(args, argument(script[0])), script[1:]
			}
			if len(args) < len(f.params) {
				break
			}
			if err := g.attempt(f.name, args); err != nil {
				var p *instance.Panic
				if errors.As(err, &p) {
					t.Fatalf("%v\n%s", err, p.Stack)
				}
				break
			}
		}
		if err := end(); err != nil {
			t.Errorf("closing: %v", err)
		}
		if left := len(n.Watched()); left != 0 {
			t.Errorf("%d connections are watched after the guest's end", left)
		}
	})
}

// argument is a handle, an address or a length.
func argument(b byte) int {
	known := [...]int{0, 1, 2, 3, addrResult, addrData, 100, 1000, 65535, 1_000_000, 65536 + 64, 1 << 31, 0xffff_ffff}
	switch {
	case b < 4 || b >= 32:
		return int(b) & 15
	case int(b) < len(known):
		return known[b]
	}
	return int(b)
}

// attempt makes a call that ends soon, as it is killed if it waits.
func (g *guest) attempt(name string, args []int) error {
	ctx, stop := context.WithTimeout(g.ctx, 20*time.Millisecond)
	defer stop()
	fn := g.x.Exports().Func(exported(name))
	return g.x.Call(ctx, fn, func(to canon.Place) {
		for i, a := range args {
			if to.Field(i).Type().Size == 8 {
				to.Field(i).U64(uint64(a))
			} else {
				to.Field(i).U32(uint32(a))
			}
		}
	}, nil)
}
