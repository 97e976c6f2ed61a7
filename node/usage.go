package node

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// tick is USER_HZ, the unit of processor time in /proc. It is the same on every Linux.
const tick = 10 * time.Millisecond

// Usage is what the machine has used, and what is used of the disk of dataDir. It has counters, and
// no rates.
func Usage(dataDir string) (stats.NodeStats, error) {
	return readUsage("/", dataDir, time.Now())
}

func readUsage(root, dataDir string, now time.Time) (stats.NodeStats, error) {
	at := metav1.NewTime(now)
	text := func(path string) string {
		data, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return ""
		}
		return string(data)
	}
	processor, memory := text("proc/stat"), figures(text("proc/meminfo"))
	used, ok := processorTime(processor)
	if !ok || memory["MemTotal"] == 0 {
		return stats.NodeStats{}, fmt.Errorf("reading what the machine uses: %s lacks it", filepath.Join(root, "proc"))
	}
	fs, err := FileSystem(dataDir, now)
	if err != nil {
		return stats.NodeStats{}, err
	}
	faults := figures(text("proc/vmstat"))
	usage := stats.NodeStats{
		StartTime: metav1.Unix(int64(figures(processor)["btime"]), 0),
		CPU:       &stats.CPUStats{Time: at, UsageCoreNanoSeconds: &used},
		Memory:    memoryStats(memory, faults, at),
		Swap: &stats.SwapStats{
			Time:               at,
			SwapAvailableBytes: pointer(memory["SwapFree"] << 10),
			SwapUsageBytes:     pointer((memory["SwapTotal"] - memory["SwapFree"]) << 10),
		},
		Network: networkStats(text("proc/net/dev"), text("proc/net/route"), at),
		Fs:      fs,
	}
	threads := runningThreads(text("proc/loadavg"))
	if most, err := strconv.ParseInt(strings.TrimSpace(text("proc/sys/kernel/pid_max")), 10, 64); err == nil {
		usage.Rlimit = &stats.RlimitStats{Time: at, MaxPID: &most, NumOfRunningProcesses: &threads}
	}
	return usage, nil
}

// memoryStats computes the working set as a kubelet does: all memory but what is free and file
// pages that were not used recently.
func memoryStats(memory, faults map[string]uint64, at metav1.Time) *stats.MemoryStats {
	total := memory["MemTotal"]
	usage := total - min(total, memory["MemFree"])
	working := usage - min(usage, memory["Inactive(file)"])
	return &stats.MemoryStats{
		Time:            at,
		AvailableBytes:  pointer((total - working) << 10),
		UsageBytes:      pointer(usage << 10),
		WorkingSetBytes: pointer(working << 10),
		RSSBytes:        pointer(memory["AnonPages"] << 10),
		PageFaults:      pointer(faults["pgfault"]),
		MajorPageFaults: pointer(faults["pgmajfault"]),
	}
}

// FileSystem is how full the file system of a path is.
func FileSystem(path string, now time.Time) (*stats.FsStats, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return nil, fmt.Errorf("reading how full the file system of %s is: %w", path, err)
	}
	block := uint64(st.Bsize)
	return &stats.FsStats{
		Time:           metav1.NewTime(now),
		AvailableBytes: pointer(st.Bavail * block),
		CapacityBytes:  pointer(st.Blocks * block),
		UsedBytes:      pointer((st.Blocks - min(st.Blocks, st.Bfree)) * block),
		InodesFree:     pointer(st.Ffree),
		Inodes:         pointer(st.Files),
		InodesUsed:     pointer(st.Files - min(st.Files, st.Ffree)),
	}, nil
}

func pointer(n uint64) *uint64 { return &n }

// figures reads lines with a name and a number, as /proc has them: `MemFree:  123 kB`, `pgfault
// 123`.
func figures(text string) map[string]uint64 {
	found := map[string]uint64{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if n, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
			found[strings.TrimSuffix(fields[0], ":")] = n
		}
	}
	return found
}

// processorTime adds up the first line of /proc/stat, in nanoseconds: user, nice, system, irq and
// softirq. The first two contain the time of the guests of virtual machines. Idle, iowait and the
// time that a hypervisor took are not use.
func processorTime(text string) (uint64, bool) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, false
	}
	var ticks uint64
	for _, i := range []int{1, 2, 3, 6, 7} {
		n, err := strconv.ParseUint(fields[i], 10, 64)
		if err != nil {
			return 0, false
		}
		ticks += n
	}
	return ticks * uint64(tick), true
}

// networkStats reads /proc/net/dev. /proc/net/route says which interface has the default route.
func networkStats(dev, route string, at metav1.Time) *stats.NetworkStats {
	network := &stats.NetworkStats{Time: at}
	out := defaultInterface(route)
	for line := range strings.Lines(dev) {
		name, rest, ok := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if name = strings.TrimSpace(name); !ok || name == "lo" || len(fields) < 16 {
			continue
		}
		number := func(i int) *uint64 {
			n, err := strconv.ParseUint(fields[i], 10, 64)
			if err != nil {
				return nil
			}
			return &n
		}
		one := stats.InterfaceStats{Name: name, RxBytes: number(0), RxErrors: number(2), TxBytes: number(8), TxErrors: number(10)}
		network.Interfaces = append(network.Interfaces, one)
		if name == out {
			network.InterfaceStats = one
		}
	}
	slices.SortFunc(network.Interfaces, func(a, b stats.InterfaceStats) int { return strings.Compare(a.Name, b.Name) })
	return network
}

// defaultInterface is the interface of the route to 0.0.0.0.
func defaultInterface(route string) string {
	for line := range strings.Lines(route) {
		if fields := strings.Fields(line); len(fields) > 7 && fields[1] == "00000000" && fields[7] == "00000000" {
			return fields[0]
		}
	}
	return ""
}
