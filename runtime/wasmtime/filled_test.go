package wasmtime

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/ownprocess"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime/admission"
)

// TestMapsRunOut: in a process that has nearly as many memory areas as the kernel allows, guests
// start as long as there is room. After that each start fails with an error that names the limit,
// and the running guests continue.
func TestMapsRunOut(t *testing.T) {
	if !ownprocess.Enter(t, 0) {
		return
	}
	const fit = 8
	now := func() int64 { return int64(strings.Count(read(t, "/proc/self/maps"), "\n")) }
	limit, err := strconv.ParseInt(strings.TrimSpace(read(t, "/proc/sys/vm/max_map_count")), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	tiny := filepathTiny(t)
	first := start(t, newEngine(t), tiny, runtime.Spec{}) // after this the process has its threads
	fillMaps(t, limit-min(admission.SpareMaps, limit/4)-now()-(fit+1)*admission.MapsPerGuest)

	e := newEngine(t)
	all := []*guestRun{first}
	for {
		r, err := tryStart(t, e, tiny, runtime.Spec{})
		if err == nil {
			all = append(all, r)
			continue
		}
		if !errors.Is(err, runtime.ErrFull) || !strings.Contains(err.Error(), "vm.max_map_count") {
			t.Errorf("one too many: %v", err)
		}
		break
	}
	if n := len(all) - 1; n < fit/2 || n > 2*fit {
		t.Errorf("%d guests were started", n)
	}
	checkAlive(t, all)
}

// TestAddressesRunOut: if the kernel refuses memory that the engine expected, the start of a guest
// fails with an error that says so. The other guests continue. When there is memory again, guests
// can start again.
func TestAddressesRunOut(t *testing.T) {
	if !ownprocess.Enter(t, 0) {
		return
	}
	e := newEngine(t)
	tiny := filepathTiny(t)
	all := []*guestRun{start(t, e, tiny, runtime.Spec{}), start(t, e, tiny, runtime.Spec{})}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &before); err != nil {
		t.Fatal(err)
	}
	pages, _, _ := strings.Cut(read(t, "/proc/self/statm"), " ")
	used, err := strconv.ParseUint(pages, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	used *= uint64(unix.Getpagesize())
	// This is enough for Go and for a thread. It is less than a guest's linear memory and the
	// addresses that are reserved after it.
	if err := unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: used + 1<<30, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		r, err := tryStart(t, e, tiny, runtime.Spec{})
		if err == nil {
			r.process.Stop(0)
			r.wait()
			t.Fatal("a guest was started")
		}
		if errors.Is(err, runtime.ErrFull) || !strings.Contains(err.Error(), "Cannot allocate memory") {
			t.Errorf("without addresses: %v", err)
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_AS, &before); err != nil {
		t.Fatal(err)
	}
	checkAlive(t, append(all, start(t, e, tiny, runtime.Spec{})))
}

// fillMaps makes this number of memory areas.
func fillMaps(t *testing.T, n int64) {
	t.Helper()
	page := int64(unix.Getpagesize())
	area, err := unix.Mmap(-1, 0, int((n+1)*page), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(area) })
	for at := page; at < int64(len(area))-page; at += 2 * page { // each differs from its neighbours
		if err := unix.Mprotect(area[at:at+page], unix.PROT_READ); err != nil {
			t.Fatal(err)
		}
	}
}

// checkAlive ends guests, and checks that they were running until then.
func checkAlive(t *testing.T, all []*guestRun) {
	t.Helper()
	for i, r := range all {
		select {
		case <-r.process.Done():
			t.Errorf("guest %d has ended: %+v", i, r.process.Exit())
		default:
		}
		r.process.Stop(0)
		if e := r.wait(); e.Code != 137 {
			t.Errorf("guest %d: %+v", i, e)
		}
	}
}
