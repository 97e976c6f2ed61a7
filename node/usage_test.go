package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// procFiles are the files of a machine with one processor that has run for a while.
var procFiles = map[string]string{
	"stat":               "cpu  100 20 30 4000 500 6 7 80 90 10\ncpu0 100 20 30 4000 500 6 7 80 90 10\nintr 1 2 3\nbtime 1700000000\n",
	"meminfo":            "MemTotal:  1000 kB\nMemFree:  300 kB\nMemAvailable: 500 kB\nInactive(anon): 11 kB\nInactive(file):  200 kB\nSwapTotal: 64 kB\nSwapFree: 60 kB\nAnonPages: 123 kB\n",
	"vmstat":             "nr_free_pages 5\npgfault 77\npgmajfault 3\n",
	"loadavg":            "0.00 0.01 0.05 1/234 5678\n",
	"sys/kernel/pid_max": "32768\n",
	"net/dev": `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0
  eth1: 11 1 2 0 0 0 0 0 13 1 4 0 0 0 0 0
  eth0:1001 1 5 0 0 0 0 0 2002 1 6 0 0 0 0 0
`,
	"net/route": "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"eth1\t000A0A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" + "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
}

func TestUsageOfTheMachine(t *testing.T) {
	root := t.TempDir()
	for name, text := range procFiles {
		path := filepath.Join(root, "proc", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Unix(1700001000, 0)
	got, err := readUsage(root, root, now)
	if err != nil {
		t.Fatal(err)
	}
	if fs := got.Fs; *fs.CapacityBytes == 0 || *fs.UsedBytes > *fs.CapacityBytes || *fs.AvailableBytes > *fs.CapacityBytes || *fs.InodesFree > *fs.Inodes {
		t.Errorf("disk: %+v", fs)
	}
	got.Fs = nil
	at, number := metav1.NewTime(now), int64(32768)
	threads := int64(234)
	eth0 := stats.InterfaceStats{Name: "eth0", RxBytes: pointer(1001), RxErrors: pointer(5), TxBytes: pointer(2002), TxErrors: pointer(6)}
	eth1 := stats.InterfaceStats{Name: "eth1", RxBytes: pointer(11), RxErrors: pointer(2), TxBytes: pointer(13), TxErrors: pointer(4)}
	want := stats.NodeStats{
		StartTime: metav1.Unix(1700000000, 0),
		CPU:       &stats.CPUStats{Time: at, UsageCoreNanoSeconds: pointer(163e7)}, // 100 + 20 + 30 + 6 + 7 ticks
		Memory: &stats.MemoryStats{
			Time: at, AvailableBytes: pointer(500 << 10), UsageBytes: pointer(700 << 10), WorkingSetBytes: pointer(500 << 10),
			RSSBytes: pointer(123 << 10), PageFaults: pointer(77), MajorPageFaults: pointer(3),
		},
		Swap:    &stats.SwapStats{Time: at, SwapAvailableBytes: pointer(60 << 10), SwapUsageBytes: pointer(4 << 10)},
		Network: &stats.NetworkStats{Time: at, InterfaceStats: eth0, Interfaces: []stats.InterfaceStats{eth0, eth1}},
		Rlimit:  &stats.RlimitStats{Time: at, MaxPID: &number, NumOfRunningProcesses: &threads},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestUsageOfThisMachine: the counters are those of this machine, and they grow.
func TestUsageOfThisMachine(t *testing.T) {
	before, err := Usage(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if *before.CPU.UsageCoreNanoSeconds == 0 || *before.Memory.WorkingSetBytes == 0 || before.StartTime.Time.After(time.Now()) {
		t.Errorf("%+v %+v", before.CPU, before.Memory)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		after, err := Usage(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if *after.CPU.UsageCoreNanoSeconds > *before.CPU.UsageCoreNanoSeconds {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the processors' time stands still at %d", *after.CPU.UsageCoreNanoSeconds)
		}
	}
}

func TestUsageWithoutProc(t *testing.T) {
	if got, err := readUsage(t.TempDir(), "/", time.Now()); err == nil {
		t.Errorf("%+v", got)
	}
}
