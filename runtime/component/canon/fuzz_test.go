package canon_test

import (
	"math/rand/v2"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/canontest"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// FuzzCopy: whatever is in a guest's memory and core values, and whatever its allocator returns,
// values of any type are moved or trap.
func FuzzCopy(f *testing.F) {
	for seed := range uint64(64) {
		f.Add(seed, []byte("\x00\x00\x00\x00\x10\x00\x00\x00\x02\x00\x00\x00abc\xff"), uint32(seed*7))
	}
	f.Add(uint64(275), []byte("\x01"), uint32(57)) // the allocator changes a value that has handles
	f.Fuzz(func(t *testing.T, seed uint64, mem []byte, at uint32) {
		r := canontest.Random{Rand: rand.New(rand.NewPCG(seed, 0)), Resources: []*types.Resource{{Name: "r"}}}
		ty := r.Type(4)
		for _, a := range encodings {
			for _, b := range encodings {
				from, to := newSide(2048, a), newSide(8192, b)
				copy(from.Mem[16:], mem)
				for i := range from.flat {
					from.flat[i].Bits = uint64(at) * uint64(i+1)
				}
				lies := 0
				to.Lie = func(_ canontest.Realloc, honest uint32) uint32 {
					if lies++; lies%3 == 0 {
						return at
					}
					return honest
				}
				memory := ty.Flat == nil || seed&1 == 0
				_ = caught(func() { canontest.Lift(from.Lift(ty, memory)) })
				_ = caught(func() { canon.Copy(to.Lower(ty, seed&2 == 0 || ty.Flat == nil), from.Lift(ty, memory)) })
				_ = caught(func() { canon.CopyAll(to.LowerBuffer(ty, at, at%5), from.LiftBuffer(ty, at%64, at%5)) })
				_ = caught(func() { canon.CopyWithin(from.Lower(ty, true), from.Lift(ty, memory)) })
			}
		}
	})
}
