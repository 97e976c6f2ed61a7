package node

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is the state of the machine at one moment. Sizes are in bytes.
type machine struct {
	cpus                          int64
	memory, memoryFree            int64
	disk, diskFree                int64
	inodes, inodesFree            int64 // 0: the file system does not count inodes
	threads, threadsMax           int64 // 0: unknown
	machineID, systemUUID, bootID string
	kernel, osImage               string
}

// readMachine reads the machine below root (always /, except in tests), and the disk of dataDir.
// Figures that only describe the machine may be missing. Figures that the scheduler needs may not.
func readMachine(root, dataDir string) (machine, error) {
	text := func(path string) string {
		data, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(data))
	}
	m := machine{
		cpus:      int64(runtime.NumCPU()),
		machineID: firstOf(text("etc/machine-id"), text("var/lib/dbus/machine-id")),
		bootID:    text("proc/sys/kernel/random/boot_id"),
		kernel:    text("proc/sys/kernel/osrelease"),
		osImage:   firstOf(prettyName(text("etc/os-release")), prettyName(text("usr/lib/os-release")), runtime.GOOS),
	}
	m.systemUUID = firstOf(text("sys/class/dmi/id/product_uuid"), text("proc/device-tree/vm,uuid"), m.machineID)
	if n, ok := countCPUs(text("sys/devices/system/cpu/online")); ok {
		m.cpus = n
	}
	m.threads = runningThreads(text("proc/loadavg"))
	m.threadsMax, _ = strconv.ParseInt(text("proc/sys/kernel/pid_max"), 10, 64)

	meminfo, err := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return machine{}, fmt.Errorf("reading the machine's memory: %w", err)
	}
	if m.memory, m.memoryFree, err = parseMeminfo(meminfo); err != nil {
		return machine{}, fmt.Errorf("reading the machine's memory: %w", err)
	}
	return m, m.readDisk(dataDir)
}

func (m *machine) readDisk(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("reading the size of the disk of %s: %w", dir, err)
	}
	block := int64(st.Bsize)
	m.disk, m.diskFree = int64(st.Blocks)*block, int64(st.Bavail)*block
	m.inodes, m.inodesFree = int64(st.Files), int64(st.Ffree)
	return nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// maxCPUs bounds the number that countCPUs accepts. Linux has at most 8192.
const maxCPUs = 1 << 16

// countCPUs counts a list of CPUs such as 0-3,8,10-11.
func countCPUs(list string) (int64, bool) {
	var n int64
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.ParseUint(from, 10, 16)
		last := first
		if err == nil && isRange {
			last, err = strconv.ParseUint(to, 10, 16)
		}
		if err != nil || last < first {
			return 0, false
		}
		if n += int64(last - first + 1); n > maxCPUs {
			return 0, false
		}
	}
	return n, true
}

// parseMeminfo reads /proc/meminfo. Its figures are in KiB.
func parseMeminfo(data []byte) (total, available int64, err error) {
	found := map[string]int64{}
	scanner := bufio.NewScanner(bytes.NewReader(data))
	for scanner.Scan() {
		key, rest, ok := strings.Cut(scanner.Text(), ":")
		if !ok || key != "MemTotal" && key != "MemAvailable" {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) != 2 || fields[1] != "kB" {
			return 0, 0, fmt.Errorf("%s is not a figure in kB: %q", key, rest)
		}
		kib, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil || kib < 0 || kib > 1<<50 {
			return 0, 0, fmt.Errorf("%s is not a figure in kB: %q", key, rest)
		}
		found[key] = kib << 10
	}
	if err := scanner.Err(); err != nil {
		return 0, 0, err
	}
	total, ok := found["MemTotal"]
	if !ok || total == 0 {
		return 0, 0, errors.New("there is no MemTotal")
	}
	available, ok = found["MemAvailable"]
	if !ok {
		available = total // kernels before 3.14 have no MemAvailable
	}
	return total, available, nil
}

// prettyName returns PRETTY_NAME from the text of an os-release file.
func prettyName(text string) string {
	for line := range strings.Lines(text) {
		value, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME=")
		if !ok {
			continue
		}
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		return value
	}
	return ""
}

// runningThreads returns the number of threads in /proc/loadavg, which looks like this: 0.00 0.01
// 0.05 1/234 5678.
func runningThreads(loadavg string) int64 {
	fields := strings.Fields(loadavg)
	if len(fields) < 4 {
		return 0
	}
	_, all, _ := strings.Cut(fields[3], "/")
	n, err := strconv.ParseInt(all, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
