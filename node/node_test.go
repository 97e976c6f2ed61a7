package node

import (
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/version"
)

func corev1ResourceOne() *resource.Quantity { return resource.NewQuantity(1, resource.DecimalSI) }

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// healthy is a machine that has enough of everything.
func healthy() machine {
	return machine{
		cpus: 4, memory: 8 << 30, memoryFree: 4 << 30, disk: 100 << 30, diskFree: 50 << 30,
		inodes: 1000, inodesFree: 900, threads: 100, threadsMax: 32768,
		machineID: "m", systemUUID: "s", bootID: "b", kernel: "6.1", osImage: "Debian",
	}
}

func config() Config {
	return Config{Pressure: NewPressure("/", DefaultThresholds(), 0), Name: "n", Hostname: "host", IP: net.IPv4(127, 0, 0, 1), Port: 3000, MaxPods: 110, DataDir: "/", Version: "0.1.0", RuntimeHandlers: []string{"", "wasmtime"}, DeclaredFeatures: []string{"X"}}
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		says   string
	}{
		{"fine", func(*Config) {}, ""},
		{"name", func(c *Config) { c.Name = "A_b" }, "node name"},
		{"hostname", func(c *Config) { c.Hostname = strings.Repeat("a", 64) }, "hostname"},
		{"no hostname", func(c *Config) { c.Hostname = "" }, "hostname"},
		{"no address", func(c *Config) { c.IP = nil }, "IP"},
		{"port", func(c *Config) { c.Port = 70000 }, "70000"},
		{"pods", func(c *Config) { c.MaxPods = 0 }, "pods"},
		{"labels", func(c *Config) { c.Labels = map[string]string{"type": "x"} }, "type"},
		{"data dir", func(c *Config) { c.DataDir = "/there/is/no/such" }, "/there/is/no/such"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := config()
			test.change(&cfg)
			_, err := New(cfg, nil, nil, nil)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("New says %v", err)
			}
		})
	}
}

func TestValidateLabels(t *testing.T) {
	for _, test := range []struct{ key, value, says string }{
		{"example.com/a", "b", ""},
		{"kubernetes.io/arch", "wasm32-wasi", ""},
		{"kubernetes.io/arch", "amd64", "always wasm32-wasi"},
		{"type", "virtual", "always krustlet"},
		{"kubernetes.io/os", "linux", ""},
		{"kubernetes.io/os", "windows", "always wasm32-wasi"},
		{"kubernetes.io/hostname", "h", "hostname"},
		{"node-role.kubernetes.io/worker", "", "kubectl label node"},
		{"a b", "", "key"},
		{"a", "b c", "value"},
	} {
		err := ValidateLabels(map[string]string{test.key: test.value})
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s=%s: %v", test.key, test.value, err)
		}
	}
}

func TestKubeletVersion(t *testing.T) {
	for in, want := range map[string]string{
		"0.1.0": "v1.36.3+krustlet-wasi.0.1.0", "": "v1.36.3+krustlet-wasi", "v0.1.0-dev+g12 34": "v1.36.3+krustlet-wasi.v0.1.0-dev-g12-34",
	} {
		got := KubeletVersion(in)
		if got != want {
			t.Errorf("version %q gives %s, want %s", in, got, want)
		}
		// Version-skew checks must read it as neither older nor newer than the release.
		parsed, err := version.ParseSemantic(got)
		if err != nil {
			t.Fatal(err)
		}
		if order, err := parsed.Compare("v1.36.3"); err != nil || order != 0 {
			t.Errorf("%s compares %d with the release (%v)", got, order, err)
		}
	}
}

func TestConditions(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*machine)
		kind   corev1.NodeConditionType
		reason string
	}{
		{"memory left", func(*machine) {}, corev1.NodeMemoryPressure, "KubeletHasSufficientMemory"},
		{"memory short", func(m *machine) { m.memoryFree = 99 << 20 }, corev1.NodeMemoryPressure, "KubeletHasInsufficientMemory"},
		{"disk left", func(*machine) {}, corev1.NodeDiskPressure, "KubeletHasNoDiskPressure"},
		{"big disk, 5 GiB left", func(m *machine) { m.diskFree = 5 << 30 }, corev1.NodeDiskPressure, "KubeletHasNoDiskPressure"},
		{"big disk, short", func(m *machine) { m.diskFree = 5<<30 - 1 }, corev1.NodeDiskPressure, "KubeletHasDiskPressure"},
		{"small disk, a tenth left", func(m *machine) { m.disk, m.diskFree = 1<<30, 1<<30/10 }, corev1.NodeDiskPressure, "KubeletHasNoDiskPressure"},
		{"small disk, short", func(m *machine) { m.disk, m.diskFree = 1<<30, 1<<30/10-1 }, corev1.NodeDiskPressure, "KubeletHasDiskPressure"},
		{"inodes short", func(m *machine) { m.inodesFree = 49 }, corev1.NodeDiskPressure, "KubeletHasDiskPressure"},
		{"inodes not counted", func(m *machine) { m.inodes, m.inodesFree = 0, 0 }, corev1.NodeDiskPressure, "KubeletHasNoDiskPressure"},
		{"threads left", func(*machine) {}, corev1.NodePIDPressure, "KubeletHasSufficientPID"},
		{"threads short", func(m *machine) { m.threads = 32000 }, corev1.NodePIDPressure, "KubeletHasInsufficientPID"},
		{"threads unknown", func(m *machine) { m.threads, m.threadsMax = 0, 0 }, corev1.NodePIDPressure, "KubeletHasSufficientPID"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := healthy()
			test.change(&m)
			for _, c := range conditions(config().Pressure.conditions(m, noon), nil) {
				bad := strings.Contains(test.reason, "Insufficient") || test.reason == "KubeletHasDiskPressure"
				if c.Type == test.kind && (c.Reason != test.reason || (c.Status == corev1.ConditionTrue) != bad) {
					t.Errorf("%+v, want %s", c, test.reason)
				}
			}
		})
	}
}

func TestBuildStatus(t *testing.T) {
	cfg, m := config(), healthy()
	first := buildStatus(cfg, m, nil, noon, &corev1.NodeStatus{})
	for name, want := range map[corev1.ResourceName][2]string{
		corev1.ResourceCPU:              {"4", "4"},
		corev1.ResourceMemory:           {"8Gi", "8092Mi"},
		corev1.ResourceEphemeralStorage: {"100Gi", "95Gi"},
		corev1.ResourcePods:             {"110", "110"},
	} {
		capacity, allocatable := first.Capacity[name], first.Allocatable[name]
		if capacity.String() != want[0] || allocatable.String() != want[1] {
			t.Errorf("%s: %s of %s allocatable, want %s of %s", name, allocatable.String(), capacity.String(), want[1], want[0])
		}
	}
	if h := first.RuntimeHandlers; len(h) != 2 || h[0].Name != "" || h[1].Name != "wasmtime" {
		t.Errorf("runtime handlers %+v", h)
	}
	if f := first.RuntimeHandlers[0].Features; f == nil || !*f.RecursiveReadOnlyMounts || *f.UserNamespaces || len(first.DeclaredFeatures) != 1 {
		t.Errorf("features %+v, %v", f, first.DeclaredFeatures)
	}
	tiny := machine{cpus: 1, memory: 64 << 20, disk: 10}
	status := buildStatus(cfg, tiny, nil, noon, &corev1.NodeStatus{})
	if got := status.Allocatable.Memory().Value(); got != 0 {
		t.Errorf("a machine of 64 MiB has %d bytes allocatable", got)
	}

	// Nothing changes within a minute: no status is sent, and the transition time stays.
	later := noon.Add(time.Minute)
	second := buildStatus(cfg, m, nil, later, &first)
	if worthSending(&first, &second, noon, later) {
		t.Error("an unchanged status is worth sending")
	}
	if !worthSending(&first, &second, noon, noon.Add(5*time.Minute)) {
		t.Error("after 5 min an unchanged status is not worth sending")
	}
	third := buildStatus(cfg, m, errors.New("why"), later, &second)
	if !worthSending(&second, &third, later, later) {
		t.Error("a lost readiness is not worth sending")
	}
	for _, c := range third.Conditions {
		want := noon
		if c.Type == corev1.NodeReady {
			want = later
		}
		if !c.LastTransitionTime.Time.Equal(want) || !c.LastHeartbeatTime.Time.Equal(later) {
			t.Errorf("%s: changed at %s, heard of at %s", c.Type, c.LastTransitionTime, c.LastHeartbeatTime)
		}
	}
	if readyStatus(&second) != corev1.ConditionTrue || readyStatus(&third) != corev1.ConditionFalse || readyStatus(&corev1.NodeStatus{}) != corev1.ConditionUnknown {
		t.Error("readyStatus does not read the Ready condition")
	}
}

// TestStatusPatch: the patch turns the old status into the new one.
func TestStatusPatch(t *testing.T) {
	cfg := config()
	base := buildStatus(cfg, healthy(), nil, noon, &corev1.NodeStatus{})
	with := func(change func(*corev1.NodeStatus)) corev1.NodeStatus {
		s := *base.DeepCopy()
		change(&s)
		return s
	}
	others := with(func(s *corev1.NodeStatus) {
		s.Capacity["example.com/dongle"] = *corev1ResourceOne()
		s.Conditions = append(s.Conditions, corev1.NodeCondition{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionFalse})
		s.VolumesInUse = []corev1.UniqueVolumeName{"v"}
	})
	for name, old := range map[string]corev1.NodeStatus{
		"nothing": {},
		"same":    base,
		"others":  others,
		"two addresses of a type": with(func(s *corev1.NodeStatus) {
			s.Addresses = []corev1.NodeAddress{{Type: "InternalIP", Address: "127.0.0.5"}, {Type: "InternalIP", Address: "127.0.0.6"}, {Type: "ExternalIP", Address: "127.0.0.7"}}
		}),
		"not ready": buildStatus(cfg, healthy(), errors.New("x"), noon, &corev1.NodeStatus{}),
	} {
		t.Run(name, func(t *testing.T) {
			node := &corev1.Node{Status: old}
			node.UID = "u"
			want := buildStatus(cfg, healthy(), nil, noon.Add(time.Hour), &old)
			patch, err := statusPatch(node, &want)
			if err != nil {
				t.Fatal(err)
			}
			before, err := json.Marshal(node)
			if err != nil {
				t.Fatal(err)
			}
			after, err := strategicpatch.StrategicMergePatch(before, patch, corev1.Node{})
			if err != nil {
				t.Fatal(err)
			}
			var got corev1.Node
			if err := json.Unmarshal(after, &got); err != nil {
				t.Fatal(err)
			}
			if !apiequality.Semantic.DeepEqual(got.Status, want) {
				t.Errorf("the patch %s\ngives %+v\nwant  %+v", patch, got.Status, want)
			}
		})
	}
}

func TestMetadataChanges(t *testing.T) {
	node := newNode(config())
	if changes := metadataChanges(config(), node); changes != nil {
		t.Errorf("a Node as we make it needs %v", changes)
	}
	node.Annotations["node.alpha.kubernetes.io/ttl"] = "15"
	if changes := metadataChanges(config(), node); changes != nil {
		t.Errorf("the controller's annotation is fought: %v", changes)
	}
	node.Labels["type"], node.UID = "other", "u"
	delete(node.Labels, "kubernetes.io/os")
	want := map[string]any{"uid": node.UID, "labels": map[string]string{"type": "krustlet", "kubernetes.io/os": "wasm32-wasi"}}
	if changes := metadataChanges(config(), node); !reflect.DeepEqual(changes, want) {
		t.Errorf("changes are %v, want %v", changes, want)
	}
}

// TestNodeThatCountsAsLinux: a user may set the label to linux, and adoption does not change it
// back.
func TestNodeThatCountsAsLinux(t *testing.T) {
	cfg := config()
	cfg.Labels = map[string]string{"kubernetes.io/os": "linux"}
	node := newNode(cfg)
	if got := node.Labels; got["kubernetes.io/os"] != "linux" || got["kubernetes.io/arch"] != "wasm32-wasi" {
		t.Errorf("labels are %v", got)
	}
	if changes := metadataChanges(cfg, node); changes != nil {
		t.Errorf("the Node needs %v", changes)
	}
}

func TestMissingTaints(t *testing.T) {
	have := []corev1.Taint{{Key: "kubernetes.io/arch", Value: "wasm32-wasi", Effect: "NoSchedule"}, {Key: "x", Effect: "NoSchedule"}}
	if got := missingTaints(DefaultTaints(), have); len(got) != 1 || got[0] != "kubernetes.io/arch=wasm32-wasi:NoExecute" {
		t.Errorf("missing are %v", got)
	}
}

func TestReadMachine(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := readMachine(root, root); err == nil {
		t.Error("a machine of unknown memory was read")
	}
	write("proc/meminfo", "MemTotal:       16384 kB\nMemFree:  1 kB\nMemAvailable:    8192 kB\nHugePages_Total:       0\n")
	m, err := readMachine(root, root)
	if err != nil {
		t.Fatal(err)
	}
	if m.memory != 16<<20 || m.memoryFree != 8<<20 || m.cpus < 1 || m.disk <= 0 || m.diskFree > m.disk || m.osImage == "" {
		t.Errorf("a bare machine is %+v", m)
	}
	write("etc/machine-id", "abc\n")
	write("etc/os-release", "NAME=x\nPRETTY_NAME=\"Some Linux 1\"\n")
	write("proc/sys/kernel/osrelease", "6.1.0\n")
	write("proc/sys/kernel/random/boot_id", "boot\n")
	write("proc/loadavg", "0.00 0.01 0.05 1/234 5678\n")
	write("proc/sys/kernel/pid_max", "4194304\n")
	write("sys/devices/system/cpu/online", "0-3,8\n")
	m, err = readMachine(root, root)
	if err != nil {
		t.Fatal(err)
	}
	m.disk, m.diskFree, m.inodes, m.inodesFree = 0, 0, 0, 0
	want := machine{cpus: 5, memory: 16 << 20, memoryFree: 8 << 20, threads: 234, threadsMax: 4194304,
		machineID: "abc", systemUUID: "abc", bootID: "boot", kernel: "6.1.0", osImage: "Some Linux 1"}
	if m != want {
		t.Errorf("read  %+v\nwant %+v", m, want)
	}
}

func TestCountCPUs(t *testing.T) {
	for list, want := range map[string]int64{"0": 1, "0-1": 2, "0-3,8,10-11": 7, "": -1, "3-1": -1, "a": -1, "1-": -1, "0-65535,0-65535": -1, "-": -1} {
		got, ok := countCPUs(list)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d CPUs, want %d", list, got, want)
		}
	}
}

func FuzzCountCPUs(f *testing.F) {
	f.Add("0-3,8,10-11")
	f.Fuzz(func(t *testing.T, list string) {
		if n, ok := countCPUs(list); ok && (n < 1 || n > maxCPUs) {
			t.Errorf("%q: %d CPUs", list, n)
		}
	})
}

func FuzzParseMeminfo(f *testing.F) {
	f.Add([]byte("MemTotal:       16384 kB\nMemAvailable:    8192 kB\n"))
	f.Add([]byte("MemTotal: -1 kB"))
	f.Add([]byte("MemTotal: 99999999999999999999 kB"))
	f.Fuzz(func(t *testing.T, data []byte) {
		total, available, err := parseMeminfo(data)
		if err == nil && (total <= 0 || available < 0) {
			t.Errorf("%q: %d of %d bytes", data, available, total)
		}
	})
}

func FuzzPrettyName(f *testing.F) {
	f.Add("PRETTY_NAME=\"x\"\n")
	f.Add("PRETTY_NAME=\"")
	f.Fuzz(func(t *testing.T, text string) {
		if name := prettyName(text); strings.Contains(name, "\n") {
			t.Errorf("%q: the name is %q", text, name)
		}
	})
}

func FuzzRunningThreads(f *testing.F) {
	f.Add("0.00 0.01 0.05 1/234 5678")
	f.Fuzz(func(t *testing.T, text string) {
		if n := runningThreads(text); n < 0 {
			t.Errorf("%q: %d threads", text, n)
		}
	})
}
