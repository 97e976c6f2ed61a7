package confine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Cgroup2 is the path where most systems mount version 2 of cgroups.
const Cgroup2 = "/sys/fs/cgroup"

// cpuPeriod is the kernel's default period of cpu.max, in microseconds.
const cpuPeriod = 100_000

// Limits of a cgroup; 0 means no limit.
type Limits struct {
	Memory   int64 // bytes
	CPUMilli int64 // thousandths of a processor
	Pids     int64 // processes and threads
}

func (l Limits) files() []setting {
	text := func(n int64) string {
		if n <= 0 {
			return "max"
		}
		return strconv.FormatInt(n, 10)
	}
	quota := int64(0)
	if l.CPUMilli > 0 {
		quota = max(l.CPUMilli*(cpuPeriod/1000), 1000) // the kernel's minimum
	}
	return []setting{
		{"memory", "memory.max", text(l.Memory), l.Memory > 0},
		{"cpu", "cpu.max", fmt.Sprintf("%s %d", text(quota), cpuPeriod), quota > 0},
		{"pids", "pids.max", text(l.Pids), l.Pids > 0},
	}
}

type setting struct {
	controller, file, value string
	limits                  bool
}

// Groups is the cgroup of all workers. Only the agent uses it.
type Groups struct{ dir string }

// NewGroups makes the cgroup of all workers if it does not exist, and sets their common limits.
// mount is the path where cgroups of version 2 are mounted (Cgroup2). The cgroup has the given name
// and is beside the agent's own cgroup, which does not change. The workers' cgroup cannot be inside
// the agent's, because a cgroup that delegates controllers may not contain a process.
//
// lost names the limits that could not be set, for a log. With an error there are no groups: the
// agent may not write there, or the system has version 1.
func NewGroups(mount, name string, all Limits) (g *Groups, lost []string, err error) {
	var info unix.Statfs_t
	if err := unix.Statfs(mount, &info); err != nil {
		return nil, nil, fmt.Errorf("looking for cgroups at %s: %w", mount, err)
	}
	if info.Type != unix.CGROUP2_SUPER_MAGIC {
		return nil, nil, fmt.Errorf("%s has no cgroups of version 2", mount)
	}
	own, err := ownGroup()
	if err != nil {
		return nil, nil, err
	}
	return newGroups(mount, own, name, all)
}

// newGroups is NewGroups for an agent in the cgroup own, which is a path below mount.
func newGroups(mount, own, name string, all Limits) (*Groups, []string, error) {
	if err := checkName(name); err != nil {
		return nil, nil, err
	}
	parent := filepath.Join(mount, filepath.Dir(own)) // for the root cgroup: itself
	g := &Groups{filepath.Join(parent, name)}
	if err := makeGroup(g.dir); err != nil {
		return nil, nil, err
	}
	lost := delegate(parent)
	lost = append(lost, limit(g.dir, all)...)
	lost = append(lost, delegate(g.dir)...)
	return g, lost, nil
}

func checkName(name string) error {
	if name == "" || strings.HasPrefix(name, ".") || strings.ContainsRune(name, '/') {
		return fmt.Errorf("%q cannot be the name of a cgroup", name)
	}
	return nil
}

// Add makes the cgroup of a worker if it does not exist, sets its limits, and moves the process
// with all its threads into it. lost names the limits that could not be set.
func (g *Groups) Add(name string, pid int, l Limits) (lost []string, err error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	dir := filepath.Join(g.dir, name)
	if err := makeGroup(dir); err != nil {
		return nil, err
	}
	return limit(dir, l), enter(dir, pid)
}

// OutOfMemory reports whether the kernel has killed a process of the worker's cgroup because of too
// little memory: in the cgroup, in the cgroup of all workers, or on the machine. It is false if
// this is not known.
func (g *Groups) OutOfMemory(name string) bool {
	if checkName(name) != nil {
		return false
	}
	text, err := os.ReadFile(filepath.Join(g.dir, name, "memory.events"))
	if err != nil {
		return false // the group has no memory controller
	}
	for line := range bytes.Lines(text) {
		if n, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("oom_kill ")); ok {
			return string(n) != "0"
		}
	}
	return false
}

// Remove removes the cgroup of a worker that has exited. A cgroup that does not exist is no error.
// If a process is in it, the error is EBUSY.
func (g *Groups) Remove(name string) error {
	if err := os.Remove(filepath.Join(g.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a worker's cgroup: %w", err)
	}
	return nil
}

// Names lists the workers that have a cgroup.
func (g *Groups) Names() ([]string, error) {
	entries, err := os.ReadDir(g.dir)
	if err != nil {
		return nil, fmt.Errorf("listing the workers' cgroups: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// ownGroup is the cgroup of version 2 of this process: the line "0::PATH" (man 7 cgroups).
func ownGroup() (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("looking for the agent's cgroup: %w", err)
	}
	for line := range bytes.Lines(text) {
		if path, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("0::")); ok {
			return string(path), nil
		}
	}
	return "", errors.New("the agent is in no cgroup of version 2")
}

func makeGroup(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making a cgroup: %w", err)
	}
	return nil
}

func enter(dir string, pid int) error {
	if err := write(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
		return fmt.Errorf("moving process %d: %w", pid, err)
	}
	return nil
}

// controllers are those of our three controllers that a cgroup can delegate.
func controllers(dir string) (have []string) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return nil
	}
	for name := range strings.FieldsSeq(string(text)) {
		if name == "memory" || name == "cpu" || name == "pids" {
			have = append(have, name)
		}
	}
	return have
}

// delegate gives a cgroup's controllers to the cgroups below it, and names those that it could not
// give. It gives one at a time, because the kernel refuses a whole list if it refuses one of them.
func delegate(dir string) (lost []string) {
	for _, name := range controllers(dir) {
		if err := write(filepath.Join(dir, "cgroup.subtree_control"), "+"+name); err != nil {
			lost = append(lost, fmt.Sprintf("%s limit of workers: %v", name, err))
		}
	}
	return lost
}

// limit sets the limits of a cgroup and names those that it could not set.
func limit(dir string, l Limits) (lost []string) {
	for _, s := range l.files() {
		err := write(filepath.Join(dir, s.file), s.value)
		switch {
		case err == nil || !s.limits:
		case errors.Is(err, fs.ErrNotExist):
			lost = append(lost, fmt.Sprintf("%s limit of workers: cgroup %s has no %s controller", s.controller, dir, s.controller))
		default:
			lost = append(lost, fmt.Sprintf("%s limit of workers: %v", s.controller, err))
		}
	}
	return lost
}

// write writes to a file of the kernel. The file must exist.
func write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
