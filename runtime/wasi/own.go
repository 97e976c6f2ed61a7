package wasi

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"strings"
)

// own is what a guest has for itself, made when it first asks.
type own struct {
	seeded bool
	seed   [2]uint64
}

// workDirVariable is where programs of preview 1 find their working directory. A component may have
// such a program in it.
const workDirVariable = "PWD"

// Variables returns the environment as names with their values, and with PWD, the working directory,
// unless it is there or the guest chooses that itself.
func (g *Guest) Variables(ctx context.Context) ([][2]string, error) {
	all, has := make([][2]string, len(g.env), len(g.env)+1), false
	for i, e := range g.env {
		if err := g.lookAt(ctx, i); err != nil {
			return nil, err
		}
		all[i][0], all[i][1], _ = strings.Cut(e, "=")
		has = has || all[i][0] == workDirVariable
	}
	if g.workDir != "" && !has {
		all = append(all, [2]string{workDirVariable, g.workDir})
	}
	return all, nil
}

// Seed returns a random number for what needs none that is secret. It stays the same for the guest.
func (g *Guest) Seed() [2]uint64 {
	if !g.own.seeded {
		var b [16]byte
		_, _ = rand.Read(b[:]) // it never fails
		g.own.seed = [2]uint64{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
		g.own.seeded = true
	}
	return g.own.seed
}
