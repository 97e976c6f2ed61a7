package p3

import (
	"context"
	"encoding/binary"
)

// random has the functions of wasi:random. The insecure ones are as good as the others, which cost
// no more.
type random struct{ host *Host }

// GetRandomBytes implements bindings.RandomHost. It may return fewer bytes than the guest asks for.
func (r random) GetRandomBytes(ctx context.Context, most uint64) ([]byte, error) {
	b := r.host.guest.Scratch(int(min(most, maxRandom)))
	return b, r.host.guest.Random(ctx, b)
}

// GetRandomU64 implements bindings.RandomHost.
func (r random) GetRandomU64(ctx context.Context) (uint64, error) {
	b, err := r.GetRandomBytes(ctx, 8)
	return binary.NativeEndian.Uint64(b), err
}

// GetInsecureRandomBytes implements bindings.InsecureHost.
func (r random) GetInsecureRandomBytes(ctx context.Context, most uint64) ([]byte, error) {
	return r.GetRandomBytes(ctx, most)
}

// GetInsecureRandomU64 implements bindings.InsecureHost.
func (r random) GetInsecureRandomU64(ctx context.Context) (uint64, error) { return r.GetRandomU64(ctx) }

// GetInsecureSeed implements bindings.InsecureSeedHost.
func (r random) GetInsecureSeed(context.Context) ([2]uint64, error) { return r.host.guest.Seed(), nil }
