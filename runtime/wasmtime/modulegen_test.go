package wasmtime

import (
	"bufio"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

// generated is a command module with a chosen size and a chosen amount of work for a compiler.
type generated struct {
	functions, stores int // in each function
	data              int // bytes of a passive segment
	seed              int // different seeds make different modules
}

// file writes the module. It holds at most one function of it in memory.
func (g generated) file(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "generated.wasm")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(f)
	section := func(id byte, size int, parts ...[]byte) {
		_ = out.WriteByte(id)
		_, _ = out.Write(leb(size))
		for _, part := range parts {
			_, _ = out.Write(part)
		}
	}
	whole := func(id byte, content ...byte) { section(id, len(content), content) }
	_, _ = out.WriteString("\x00asm\x01\x00\x00\x00")
	whole(1, 1, 0x60, 0, 0)
	whole(3, append(leb(1+g.functions), make([]byte, 1+g.functions)...)...)
	whole(5, 1, 0, 1)
	whole(7, append([]byte("\x02\x06_start\x00\x00\x06memory"), 2, 0)...)
	if g.data > 0 {
		whole(12, 1)
	}
	body := g.body()
	count := leb(1 + g.functions)
	section(10, len(count)+3+g.functions*len(body), count, []byte{2, 0, 0x0b})
	for range g.functions {
		_, _ = out.Write(body)
	}
	if g.data > 0 {
		head := append([]byte{1, 1}, leb(g.data)...)
		section(11, len(head)+g.data, head)
		for i := range g.data {
			_ = out.WriteByte(byte(i * 31 >> 3))
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// body is a function that stores constants at different addresses, so that the compiler cannot omit
// a store.
func (g generated) body() []byte {
	code := []byte{0} // no locals
	for i := range g.stores {
		code = append(code, 0x41, byte(i*5)&0x3f, 0x42)
		code = append(code, leb(1+g.seed+i*1039)...)
		code[len(code)-1] &= 0x3f // so that it is not negative
		code = append(code, 0x37, 0)
		code = append(code, leb(i*8)...)
	}
	code = append(code, 0x0b)
	return append(leb(len(code)), code...)
}

func leb(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
