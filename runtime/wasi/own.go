package wasi

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"time"
)

// own is what a guest has for itself, made when it first asks.
type own struct {
	seeded   bool
	seed     [2]uint64
	location *time.Location
}

// Variables returns the environment as names with their values.
func (g *Guest) Variables() [][2]string {
	all := make([][2]string, len(g.env))
	for i, e := range g.env {
		all[i][0], all[i][1], _ = strings.Cut(e, "=")
	}
	return all
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

// Location returns the guest's time zone: that of its variable TZ if the host knows it, else UTC.
func (g *Guest) Location() *time.Location {
	if g.own.location != nil {
		return g.own.location
	}
	g.own.location = time.UTC
	for _, e := range g.env {
		if name, ok := strings.CutPrefix(e, "TZ="); ok && name != "Local" { // which is that of the node
			if l, err := time.LoadLocation(strings.TrimPrefix(name, ":")); err == nil {
				g.own.location = l
			}
		}
	}
	return g.own.location
}
