package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/confine"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
)

// controlGroups are the control groups of the node's workers.
type controlGroups struct{ all *confine.Groups }

// newControlGroups makes the control group of all workers. Its limits are the resources that the
// Node offers to pods. The result is nil if the kernel does not allow it or a privilege is missing.
// Then workers run in the agent's group, with only a warning.
func newControlGroups(dataDir string, log *zap.Logger) pool.Groups {
	cpus, memory, threads, err := node.Allocatable(dataDir)
	if err != nil {
		log.Warn("containers have no control group", zap.Error(err))
		return nil
	}
	// The name depends on the data directory, because a machine may have several agents.
	sum := sha256.Sum256([]byte(dataDir))
	name := "krustlet-wasi-" + hex.EncodeToString(sum[:4])
	all, lost, err := confine.NewGroups(confine.Cgroup2, name, confine.Limits{Memory: memory, CPUMilli: cpus * 1000, Pids: threads})
	if err != nil {
		log.Warn("containers have no control group, and may take what the machine has; see docs/workers.md", zap.Error(err))
		return nil
	}
	if len(lost) > 0 {
		log.Warn("the containers' control group does not bound all; see docs/workers.md", zap.Strings("lost", lost))
	}
	g := &controlGroups{all}
	g.sweep(log)
	return g
}

// sweep removes the groups of workers that exited while no agent ran. The kernel refuses to remove
// a group that has a process.
func (g *controlGroups) sweep(log *zap.Logger) {
	names, err := g.all.Names()
	if err != nil {
		log.Warn("looking for control groups of workers that have ended", zap.Error(err))
	}
	for _, name := range names {
		_ = g.all.Remove(name)
	}
}

// Add implements pool.Groups.
func (g *controlGroups) Add(name string, pid int) error {
	lost, err := g.all.Add(name, pid, confine.Limits{})
	if err == nil && len(lost) > 0 {
		err = errors.New(strings.Join(lost, ", "))
	}
	if err != nil {
		return fmt.Errorf("reading control group %s: %w", name, err)
	}
	return nil
}

// OutOfMemory implements pool.Groups.
func (g *controlGroups) OutOfMemory(name string) bool { return g.all.OutOfMemory(name) }

// Remove implements pool.Groups.
func (g *controlGroups) Remove(name string) error { return g.all.Remove(name) }
