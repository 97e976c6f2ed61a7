package wasmtime

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func TestRunsAreFoundUntilForgotten(t *testing.T) {
	e := newEngine(t)
	file := wat(t, catText)
	of := runtime.Origin{Pod: "uid", Container: "main", Attempt: 3, ImageID: "registry/image@sha256:0"}
	p := startPod(t, e, file, runtime.Spec{Of: of, Command: runtime.Command{Stdin: true}})
	other := startPod(t, e, file, runtime.Spec{Command: runtime.Command{Stdin: true}})
	if _, err := e.Start(t.Context(), runtime.Spec{Of: of, Digest: "none"}, runtime.Streams{}); err == nil {
		t.Error("a start without a module succeeds")
	}
	found := func() runtime.Run {
		t.Helper()
		runs := e.Runs()
		if len(runs) != 1 || runs[0].ID != t.Name() || runs[0].Of != of || runs[0].Guest != p || runs[0].StartedAt.IsZero() {
			t.Fatalf("found %+v", runs)
		}
		return runs[0]
	}
	found()
	p.Forget() // too early
	running := found()
	p.Stop(0)
	other.Stop(0)
	<-p.Done()
	<-other.Done()
	ended := found()
	if exit := ended.Guest.Exit(); exit.Code != 137 || !exit.StartedAt.Equal(running.StartedAt) {
		t.Errorf("exit %+v, found as started at %v", exit, running.StartedAt)
	}
	// The usage is still known. Nothing else of the guest is kept.
	if p := p.(*guest); p.work != nil || p.out != nil || p.stdin != nil {
		t.Error("a run that has ended keeps its guest")
	}
	if s := p.Stats(); s.Memory == 0 {
		t.Errorf("stats %+v", s)
	}
	p.Stop(0)
	p.Stop(patience)
	p.Forget()
	p.Forget()
	if runs := e.Runs(); len(runs) != 0 {
		t.Errorf("after it was forgotten: %+v", runs)
	}
}
