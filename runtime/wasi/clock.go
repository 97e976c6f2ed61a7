package wasi

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// Monotonic is the time since the guest started.
func (g *Guest) Monotonic() time.Duration { return time.Since(g.start) }

// CPU is the processor time of the calling thread. A guest has one thread, which runs nothing else
// while the guest lives.
func (g *Guest) CPU() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0, err
	}
	return time.Duration(t.Nano()), nil
}

// Random fills p with random bytes that are good enough for secrets.
func (g *Guest) Random(ctx context.Context, p []byte) error {
	for len(p) > 0 {
		if err := g.pace.look(ctx); err != nil {
			return err
		}
		n := min(len(p), maxChunk)
		_, _ = rand.Read(p[:n]) // it never fails
		p = p[n:]
	}
	return nil
}

// Seed returns a random number of 128 bits that stays the same while the guest lives. It serves
// hash tables, not secrets.
func (g *Guest) Seed() [2]uint64 {
	if g.seed == [2]uint64{} {
		var b [16]byte
		_, _ = rand.Read(b[:]) // it never fails
		g.seed = [2]uint64{binary.NativeEndian.Uint64(b[:]), binary.NativeEndian.Uint64(b[8:])}
	}
	return g.seed
}
