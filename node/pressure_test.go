package node

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestParseThresholds(t *testing.T) {
	for _, test := range []struct{ items, want, says string }{
		{"", "", ""},
		{"memory.available<100Mi", "memory.available 100Mi", ""},
		{"memory.available=1Gi, nodefs.available < 10%", "memory.available 1Gi,nodefs.available 10%", ""},
		{"nodefs.inodesFree<2.5%,pid.available<1000", "nodefs.inodesFree 2.5%,pid.available 1k", ""},
		{"nodefs.available<0%,memory.available<100%", "", ""}, // these disable a threshold, as in a kubelet
		{"memory.available", "", `"memory.available" is no threshold: write a signal, < and a value`},
		{"memory.available<", "", `"" of memory.available is not an amount`},
		{"memory.available<0", "", `"0" of memory.available is not an amount above 0`},
		{"memory.available<-1Mi", "", `"-1Mi" of memory.available`},
		{"memory.available<=1Mi", "", `"=1Mi" of memory.available`},
		{"memory.available<101%", "", `"101%" of memory.available is not a percentage`},
		{"memory.available<NaN%", "", `"NaN%" of memory.available is not a percentage`},
		{"imagefs.available<15%", "", `"imagefs.available" is no signal of this node`},
		{"pid.available<1%,pid.available<2%", "", "pid.available is given twice"},
	} {
		var items []string
		if test.items != "" {
			items = strings.Split(test.items, ",")
		}
		thresholds, err := ParseThresholds(items)
		if test.says != "" {
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: %v, want %s", test.items, err, test.says)
			}
			continue
		}
		var got []string
		for _, threshold := range thresholds {
			got = append(got, string(threshold.Signal)+" "+threshold.Value())
		}
		want := strings.Split(test.want, ",")
		if test.want == "" {
			want = nil
		}
		if err != nil || thresholds == nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v, want %v", test.items, got, err, want)
		}
	}
}

// TestShortages: shortages depend on the thresholds, and the most urgent comes first.
func TestShortages(t *testing.T) {
	starved := machine{memory: 1 << 30, memoryFree: 90 << 20, disk: 100 << 30, diskFree: 1 << 30, inodes: 1000, inodesFree: 1, threads: 990, threadsMax: 1000}
	for _, test := range []struct {
		name       string
		thresholds string
		m          machine
		want       string
	}{
		{"healthy", "memory.available<1Gi,nodefs.available<10%,nodefs.inodesFree<5%,pid.available<5%", healthy(), ""},
		{"none wanted", "", starved, ""},
		{"one wanted", "nodefs.available<2%", starved, "ephemeral-storage: 1Gi of 2Gi"},
		{"all", "pid.available<5%,nodefs.inodesFree<5%,nodefs.available<10Gi,memory.available<100Mi", starved,
			"memory: 90Mi of 100Mi; ephemeral-storage: 1Gi of 10Gi; inodes: 1 of 50; pids: 10 of 50"},
		{"at the threshold", "memory.available<90Mi", starved, ""},
		{"more than there can be", "memory.available<2Gi", starved, "memory: 90Mi of 2Gi"},
		{"not known", "nodefs.inodesFree<5%,pid.available<100", machine{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			thresholds, err := ParseThresholds(slices.DeleteFunc(strings.Split(test.thresholds, ","), func(s string) bool { return s == "" }))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range shortages(thresholds, test.m) {
				got = append(got, fmt.Sprintf("%s: %s of %s", s.Resource, &s.Available, &s.Threshold))
			}
			if text := strings.Join(got, "; "); text != test.want {
				t.Errorf("%s, want %s", text, test.want)
			}
		})
	}
}

// TestPressureTransition: a condition becomes true immediately, and stays true for a while after
// its cause has passed.
func TestPressureTransition(t *testing.T) {
	p := NewPressure("/", DefaultThresholds(), time.Minute)
	short := healthy()
	short.memoryFree = 1
	for _, step := range []struct {
		after time.Duration
		m     machine
		want  string
	}{
		{0, healthy(), "[]"},
		{time.Second, short, "[MemoryPressure]"},
		{30 * time.Second, healthy(), "[MemoryPressure]"},
		{60 * time.Second, short, "[MemoryPressure]"},
		{119 * time.Second, healthy(), "[MemoryPressure]"},
		{120 * time.Second, healthy(), "[]"},
		{130 * time.Second, machine{memory: 1 << 30, disk: 1 << 30}, "[MemoryPressure DiskPressure]"},
	} {
		if got := fmt.Sprint(p.conditions(step.m, noon.Add(step.after))); got != step.want {
			t.Errorf("after %v: %s, want %s", step.after, got, step.want)
		}
	}
	none := NewPressure("/", DefaultThresholds(), 0)
	if got := none.conditions(short, noon); !slices.Equal(got, []corev1.NodeConditionType{corev1.NodeMemoryPressure}) {
		t.Errorf("without a transition: %v", got)
	}
	if got := none.conditions(healthy(), noon.Add(1)); len(got) > 0 {
		t.Errorf("without a transition, later: %v", got)
	}
}

// TestReserve: the thresholds reserve resources, which pods do not get.
func TestReserve(t *testing.T) {
	cfg := config()
	thresholds, err := ParseThresholds([]string{"memory.available<1Gi"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Pressure = NewPressure("/", thresholds, 0)
	status := buildStatus(cfg, healthy(), nil, noon, &corev1.NodeStatus{})
	if got := status.Allocatable; got.Memory().String() != "7Gi" || got.StorageEphemeral().String() != "100Gi" {
		t.Errorf("allocatable: %s of memory, %s of the disk", got.Memory(), got.StorageEphemeral())
	}
}
