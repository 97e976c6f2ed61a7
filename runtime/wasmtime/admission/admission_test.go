package admission

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func TestCapacity(t *testing.T) {
	machine := map[string]string{
		"sys/vm/max_map_count":   "65530\n",
		"sys/kernel/threads-max": "190000\n",
		"sys/kernel/pid_max":     "4194304\n",
		"loadavg":                "0.1 0.1 0.1 3/488 1234\n",
		"meminfo":                "MemTotal: 99999999 kB\nMemAvailable: 67108864 kB\n",
		"self/maps":              strings.Repeat("area\n", 234),
		"self/cgroup":            "",
	}
	for _, c := range []struct {
		name, file, text string
		files            int64
		guests           int
		of               string
	}{
		{"as it is", "self/cgroup", "", 1 << 20, 6800, "vm.max_map_count = 65530"},
		{"few threads", "sys/kernel/pid_max", "4000", 1 << 20, 3000, "kernel.pid_max = 4000"},
		{"little memory", "meminfo", "MemAvailable: 524288 kB\n", 1 << 20, 3072, "memory, 512 MiB free"},
		{"hardly any memory", "meminfo", "MemAvailable: 1024 kB\n", 1 << 20, 6, "memory, 1 MiB free"},
		{"few files", "self/cgroup", "", 4096, 853, "RLIMIT_NOFILE = 4096"},
		{"very few files", "self/cgroup", "", 1000, 208, "RLIMIT_NOFILE = 1000"},
		{"more maps", "sys/vm/max_map_count", "1048576", 1 << 20, 22118, "the address space"},
	} {
		t.Run(c.name, func(t *testing.T) {
			proc := t.TempDir()
			for file, text := range machine {
				testfiles.Write(t, filepath.Join(proc, file), text)
			}
			testfiles.Write(t, filepath.Join(proc, c.file), c.text)
			h := system{proc: proc, limit: func(resource int) (int64, bool) { return c.files, resource == unix.RLIMIT_NOFILE }}
			if got := h.capacity(); got.Guests != c.guests || got.Of != c.of {
				t.Errorf("%+v", got)
			}
		})
	}
	unknown := system{proc: t.TempDir(), limit: func(int) (int64, bool) { return 0, false }}
	if got := unknown.capacity(); got.Guests <= 0 {
		t.Errorf("where nothing is known: %+v", got)
	}
	if got := Capacity(); got.Guests <= 0 || got.Of == "" {
		t.Errorf("here: %+v", got)
	}
}

func TestSlots(t *testing.T) {
	s := NewSlots(Ceiling{Guests: 3, Of: "its setting"})
	if err := s.Take(2); err != nil {
		t.Fatal(err)
	}
	if err := s.Take(2); !errors.Is(err, runtime.ErrFull) || !strings.Contains(err.Error(), "it holds 2 guests, and its setting allows no more") {
		t.Errorf("more than are free: %v", err)
	}
	if n := s.Taken(); n != 2 {
		t.Errorf("%d are taken after a Take that failed", n)
	}
	s.Give(1)
	if err := s.Take(2); err != nil {
		t.Errorf("as many as are free: %v", err)
	}
}
