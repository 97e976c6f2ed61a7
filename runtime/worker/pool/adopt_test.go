package pool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
)

// run finds a run by its ID.
func run(tb testing.TB, p *pool.Pool, id string) runtime.Run {
	tb.Helper()
	for _, r := range p.Runs() {
		if r.ID == id {
			return r
		}
	}
	tb.Fatalf("no run %s among %+v", id, p.Runs())
	panic("unreachable")
}

func TestGuestsOutliveTheAgent(t *testing.T) {
	dir, files := t.TempDir(), t.TempDir()
	gate := filepath.Join(files, "gate")
	kill := startAgent(t, dir,
		"stays "+files+"/stays sleep",
		"ends "+files+"/ends exit-when "+gate,
		"ended "+files+"/ended exit 4",
		"own "+files+"/own command")
	before := workers(dir)
	kill()
	if err := os.WriteFile(gate, nil, 0o600); err != nil { // while no agent runs
		t.Fatal(err)
	}
	for range 2 { // each agent finds the exits
		p := open(t, config(t, dir))
		if n := len(p.Runs()); n != 3 {
			t.Fatalf("%d runs: %+v", n, p.Runs())
		}
		if e := exitOf(t, run(t, p, "ended").Guest); e.Code != 4 {
			t.Errorf("exit of a guest that ended before: %+v", e)
		}
		if e := exitOf(t, run(t, p, "ends").Guest); e.Code != 3 {
			t.Errorf("exit of a guest that ended without an agent: %+v", e)
		}
		stays := run(t, p, "stays")
		if stays.Of.Pod != "pod1" || stays.Of.Container != "stays" || stays.StartedAt.IsZero() {
			t.Errorf("run: %+v", stays)
		}
		select {
		case <-stays.Guest.Done():
			t.Errorf("it has ended: %+v", stays.Guest.Exit())
		default:
		}
		p.Close()
	}
	if after := workers(dir); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("workers: %v, before %v", after, before)
	}
	p := open(t, config(t, dir))
	process := run(t, p, "stays").Guest
	process.Stop(0)
	if e := exitOf(t, process); e.Code != 137 || e.StartedAt.IsZero() {
		t.Errorf("exit: %+v", e)
	}
	for _, r := range p.Runs() {
		<-r.Guest.Done()
		r.Guest.Forget()
	}
	eventually.True(t, "the worker forgets", func() bool {
		p.Close()
		p = open(t, config(t, dir))
		return len(p.Runs()) == 0
	})
}

func TestStartUnderWayIsGivenUpOrFound(t *testing.T) {
	dir, files := t.TempDir(), t.TempDir()
	slow, stubborn, gate := filepath.Join(files, "slow"), filepath.Join(files, "stubborn"), filepath.Join(files, "gate")
	kill := startAgent(t, dir, "r0 "+files+"/r0 sleep", "r1 "+slow+" slow "+gate, "r2 "+stubborn+" stubborn "+gate)
	time.AfterFunc(100*time.Millisecond, func() { _ = os.WriteFile(gate, nil, 0o600) })
	kill()
	p := open(t, config(t, dir))
	for id, file := range map[string]string{"r1": slow, "r2": stubborn} {
		text, _ := os.ReadFile(file)
		runs := 0
		for _, r := range p.Runs() {
			if r.ID == id {
				runs++
			}
		}
		if n := strings.Count(string(text), "\n"); n != runs {
			t.Errorf("%s: %d guests began, %d are known", id, n, runs)
		}
	}
}

func TestOtherBuildIsDrained(t *testing.T) {
	dir := t.TempDir()
	first := open(t, config(t, dir))
	mustStart(t, first, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	first.Close()
	before := workers(dir)

	cfg := config(t, dir)
	cfg.Build, cfg.Argv = "b2", []string{"/proc/self/exe", "worker", "--build=b2"}
	p := open(t, cfg)
	if len(p.Runs()) != 1 {
		t.Fatalf("runs: %+v", p.Runs())
	}
	mustStart(t, p, spec(t, "r2", "pod1", "sleep"), runtime.Streams{})
	if n := len(workers(dir)); n != 2 {
		t.Errorf("%d workers, want one of each build", n)
	}
	// A command runs beside its run, and no other worker knows this run.
	beside := spec(t, "c1", "pod1", "exit", "0")
	beside.Of = runtime.Origin{Pod: "pod1", Beside: "r1"}
	exitOf(t, mustStart(t, p, beside, runtime.Streams{}))
	for _, info := range before {
		if !podWorkers([]runtime.Spec{beside})[fmt.Sprint(info.PID)] {
			t.Error("a command was not started in the worker of its run")
		}
	}
	process := run(t, p, "r1").Guest
	process.Stop(0)
	if e := exitOf(t, process); e.Code != 137 {
		t.Errorf("exit: %+v", e)
	}
	process.Forget()
	eventually.True(t, "the worker of the other build ends", func() bool {
		for folder := range before {
			if _, err := os.Stat(folder); err == nil {
				return false
			}
		}
		return len(workers(dir)) == 1
	})
	if runs := p.Runs(); len(runs) != 1 || runs[0].ID != "r2" {
		t.Errorf("runs: %+v", runs)
	}
}

func TestWorkerExitsWhenItIsNotNeeded(t *testing.T) {
	dir := t.TempDir()
	cfg := config(t, dir)
	cfg.Argv = append(cfg.Argv, "--idle=200ms")
	p := open(t, cfg)
	process := mustStart(t, p, spec(t, "r1", "pod1", "exit", "0"), runtime.Streams{})
	exitOf(t, process)
	p.Close()
	time.Sleep(400 * time.Millisecond) // the exit of its run is not forgotten yet
	if len(workers(dir)) != 1 {
		t.Fatal("the worker exited although no agent has taken the exit of its run")
	}
	p = open(t, cfg)
	run(t, p, "r1").Guest.Forget()
	time.Sleep(400 * time.Millisecond) // an agent is present
	if len(workers(dir)) != 1 {
		t.Fatal("the worker exited although there is an agent")
	}
	p.Close()
	eventually.True(t, "the worker ends", func() bool { return len(workers(dir)) == 0 })
	open(t, cfg) // this removes the worker's files
	eventually.True(t, "its folder is removed", func() bool {
		left, _ := os.ReadDir(dir)
		return len(left) == 0
	})
}

// docs/security.md: "Guests run in worker processes, many to one, or one pod's alone by its
// RuntimeClass."
func TestIsolatedPodHasItsOwnWorker(t *testing.T) {
	dir := t.TempDir()
	p := open(t, config(t, dir))
	start := func(id, pod string, isolated bool) runtime.Guest {
		s := spec(t, id, pod, "sleep")
		s.Isolated = isolated
		return mustStart(t, p, s, runtime.Streams{})
	}
	podless := spec(t, "r0", "", "sleep")
	podless.Isolated = true
	if _, err := p.Start(t.Context(), podless, runtime.Streams{}); err == nil {
		t.Error("an isolated guest of no pod was started beside others")
	}
	own := []runtime.Guest{start("r1", "pod1", true), start("r2", "pod1", true)}
	start("r3", "pod2", true)
	start("r4", "pod3", false)
	pods := map[string]bool{}
	for _, info := range workers(dir) {
		pods[info.Pod] = info.Isolated
	}
	if fmt.Sprint(pods) != "map[:false pod1:true pod2:true]" {
		t.Errorf("workers: %v", pods)
	}
	for _, process := range own {
		process.Stop(0)
		exitOf(t, process)
		process.Forget()
	}
	eventually.True(t, "the worker of the pod ends", func() bool { return len(workers(dir)) == 2 })
	if len(p.Runs()) != 2 {
		t.Errorf("runs: %+v", p.Runs())
	}
}

func TestShardsSpreadPods(t *testing.T) {
	dir := t.TempDir()
	cfg := config(t, dir)
	cfg.Shards = 2
	p := open(t, cfg)
	for pod := range 8 {
		for c := range 3 {
			mustStart(t, p, spec(t, fmt.Sprint(pod, "-", c), fmt.Sprint("pod", pod), "sleep"), runtime.Streams{})
		}
	}
	if n := len(workers(dir)); n != 2 {
		t.Errorf("%d workers", n)
	}
	p.Close()

	cfg.Shards = 1
	p = open(t, cfg)
	if n := len(p.Runs()); n != 24 {
		t.Errorf("%d runs", n)
	}
	for _, r := range p.Runs() {
		r.Guest.Stop(0)
		exitOf(t, r.Guest)
		r.Guest.Forget()
	}
	eventually.True(t, "the shard that is too much ends", func() bool { return len(workers(dir)) == 1 })
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
	cfg := config(t, dir)
	p := open(t, cfg)
	mustStart(t, p, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	p.Close()
	if runs := open(t, cfg).Runs(); len(runs) != 1 {
		t.Errorf("runs: %+v", runs)
	}
}

func TestFolderOfNoWorkerIsRemoved(t *testing.T) {
	dir := t.TempDir()
	for name, info := range map[string]string{"empty": "", "dead": `{"pid":1,"startTime":5}`, "broken": "{"} {
		_ = os.Mkdir(filepath.Join(dir, name), 0o700)
		if info != "" {
			_ = os.WriteFile(filepath.Join(dir, name, "worker.json"), []byte(info), 0o600)
		}
	}
	p := open(t, config(t, dir))
	if len(p.Runs()) != 0 {
		t.Errorf("runs: %v", p.Runs())
	}
	eventually.True(t, "they are removed", func() bool {
		left, _ := os.ReadDir(dir)
		return len(left) == 0
	})
}

func TestWorkerThatCannotBeginTellsWhy(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Argv = append(cfg.Argv, "--fail")
	p := open(t, cfg)
	_, err := p.Start(t.Context(), spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no memory for the engine") {
		t.Errorf("error: %v", err)
	}
}

// podWorkers are the processes in which the runs of a pod's containers were started.
func podWorkers(specs []runtime.Spec) map[string]bool {
	pids := map[string]bool{}
	for _, s := range specs {
		text, _ := os.ReadFile(s.Log)
		for line := range strings.Lines(string(text)) {
			pids[strings.Fields(line)[1]] = true
		}
	}
	return pids
}

func TestPodStaysTogetherWhenShardsAreAdded(t *testing.T) {
	cfg := config(t, t.TempDir())
	p := open(t, cfg)
	pods := map[string][]runtime.Spec{}
	start := func(container int) {
		for i := range 8 {
			pod := fmt.Sprint("pod", i)
			s := spec(t, fmt.Sprint(pod, "-", container), pod, "sleep")
			mustStart(t, p, s, runtime.Streams{})
			pods[pod] = append(pods[pod], s)
		}
	}
	start(0)
	p.Close()
	cfg.Shards = 4
	p = open(t, cfg)
	start(1)
	for pod, specs := range pods {
		if n := len(podWorkers(specs)); n != 1 {
			t.Errorf("%s runs in %d workers", pod, n)
		}
	}
}
