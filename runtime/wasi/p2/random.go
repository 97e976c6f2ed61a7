package p2

import (
	"context"
	"encoding/binary"
	"fmt"
)

// random has the functions of wasi:random. The insecure ones are as good as the others, which cost
// no more.
type random struct{ host *Host }

var errRandom = fmt.Errorf("the guest asks for more than %d random bytes at once", maxRandom)

// GetRandomBytes implements bindings.RandomHost.
func (r random) GetRandomBytes(ctx context.Context, n uint64) ([]byte, error) {
	if n > maxRandom {
		return nil, errRandom
	}
	b := r.host.guest.Scratch(int(n))
	if err := r.host.guest.Random(ctx, b); err != nil {
		return nil, err
	}
	return b, nil
}

// GetRandomU64 implements bindings.RandomHost.
func (r random) GetRandomU64(ctx context.Context) (uint64, error) {
	b, err := r.GetRandomBytes(ctx, 8)
	if err != nil {
		return 0, err
	}
	return binary.NativeEndian.Uint64(b), nil
}

// GetInsecureRandomBytes implements bindings.InsecureHost.
func (r random) GetInsecureRandomBytes(ctx context.Context, n uint64) ([]byte, error) {
	return r.GetRandomBytes(ctx, n)
}

// GetInsecureRandomU64 implements bindings.InsecureHost.
func (r random) GetInsecureRandomU64(ctx context.Context) (uint64, error) { return r.GetRandomU64(ctx) }

// InsecureSeed implements bindings.InsecureSeedHost.
func (r random) InsecureSeed(context.Context) ([2]uint64, error) { return r.host.guest.Seed(), nil }
