package logfile

import (
	"bytes"
	"io"
	"testing"
)

func BenchmarkWrite(b *testing.B) {
	line := append(bytes.Repeat([]byte("x"), 1023), '\n')
	for _, bb := range []struct {
		name    string
		text    []byte
		rotated bool
	}{
		{"lines of 1 KB", line, false},
		{"lines of 1 KB, rotated", line, true},
		{"32 lines of 1 KB at once", bytes.Repeat(line, 32), false},
		{"32 lines of 1 KB at once, rotated", bytes.Repeat(line, 32), true},
		{"lines of 10 bytes", []byte("123456789\n"), false},
	} {
		b.Run(bb.name, func(b *testing.B) {
			w, _ := newLog(b)
			if bb.rotated {
				w, _ = newRotated(b, 10<<20, 5) // as kubelets do
			}
			out := w.Stdout()
			b.SetBytes(int64(len(bb.text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := out.Write(bb.text); err != nil {
					b.Fatal(err)
				}
				// The file is kept small, because the benchmark does not measure the disk.
				if w.size > 64<<20 {
					b.StopTimer()
					w.size = 0
					if err := w.file.Truncate(0); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, bb := range []struct {
		name   string
		length int
	}{{"lines of 1 KB", 1024}, {"lines of 100 bytes", 100}} {
		b.Run(bb.name, func(b *testing.B) {
			w, path := newLog(b)
			line := append(bytes.Repeat([]byte("x"), bb.length-1), '\n')
			text := bytes.Repeat(line, 32<<20/bb.length)
			if _, err := w.Stdout().Write(text); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(w.size)
			b.ReportAllocs()
			for b.Loop() {
				if err := Read(b.Context(), io.Discard, path, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTail(b *testing.B) {
	w, path := newLog(b)
	line := append(bytes.Repeat([]byte("x"), 99), '\n')
	if _, err := w.Stdout().Write(bytes.Repeat(line, 32<<20/100)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := Read(b.Context(), io.Discard, path, Options{TailLines: new(int64(100))}); err != nil {
			b.Fatal(err)
		}
	}
}
