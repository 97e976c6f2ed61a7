package host

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// isEnding reports whether the worker will exit.
func isEnding(t *runTable) bool {
	synctest.Wait()
	select {
	case <-t.ending:
		return true
	default:
		return false
	}
}

func runOf(id string, watch uint64) request {
	return request{spec: runtime.Spec{ID: id, Of: runtime.Origin{Pod: "pod1", Container: "main"}}, watch: watch}
}

// TestIdleWorkerEnds: a worker exits only if it had no entries and no agent for the whole time.
func TestIdleWorkerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const patience = time.Minute
		table := newRunTable(patience)
		time.Sleep(2 * patience)
		if isEnding(table) {
			t.Fatal("it ends while it starts")
		}
		table.idle.release()
		time.Sleep(patience - 1)
		_, command, err := table.begin(t.Context(), request{spec: runtime.Spec{ID: "c"}, command: true})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * patience)
		if isEnding(table) {
			t.Fatal("it ends with an entry")
		}
		first, second := newWatcher(), newWatcher()
		for _, w := range []*watcher{first, second} {
			if _, _, err := table.enter(w); err != nil {
				t.Fatal(err)
			}
		}
		table.begun(command, nil)
		table.leave(first) // the second has replaced it
		time.Sleep(2 * patience)
		if isEnding(table) {
			t.Fatal("it ends with an agent")
		}
		table.leave(second)
		time.Sleep(patience - 1)
		if isEnding(table) {
			t.Fatal("it ends too early")
		}
		time.Sleep(time.Nanosecond)
		if !isEnding(table) {
			t.Fatal("it does not end")
		}
		if _, _, err := table.begin(t.Context(), runOf("r", 2)); !errors.Is(err, wire.ErrEnding) {
			t.Errorf("a start after the end: %v", err)
		}
	})
}

// TestNewWatchCancelsStarts: a start names the current Watch, and a newer Watch cancels it.
func TestNewWatchCancelsStarts(t *testing.T) {
	table := newRunTable(time.Minute)
	if _, _, err := table.begin(t.Context(), runOf("r1", 1)); !errors.Is(err, wire.ErrStale) {
		t.Errorf("a start without a Watch: %v", err)
	}
	first, second := newWatcher(), newWatcher()
	number, _, err := table.enter(first)
	if err != nil {
		t.Fatal(err)
	}
	ctx, e, err := table.begin(t.Context(), runOf("r1", number))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := table.begin(t.Context(), runOf("r1", number)); err == nil {
		t.Error("two runs of one ID")
	}
	newer, starts, err := table.enter(second)
	if err != nil || newer <= number || len(starts) != 1 || starts[0] != e || !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("Watch %d after %d, starts %v, context %v, %v", newer, number, starts, ctx.Err(), err)
	}
	select {
	case <-first.replaced:
	default:
		t.Error("the older Watch goes on")
	}
	table.begun(e, nil)
	if _, ok := table.list(first, nil); ok {
		t.Error("the older Watch gets a list")
	}
	if runs, ok := table.list(second, nil); !ok || len(runs) != 0 {
		t.Errorf("list %v, %v", runs, ok)
	}
	if _, _, err := table.begin(t.Context(), runOf("r1", newer)); err != nil {
		t.Errorf("a start in the new Watch: %v", err)
	}
	if table.shutdown(false) || !table.shutdown(true) {
		t.Error("a worker with entries shuts down only if it is forced")
	}
}
