package host

import (
	"context"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// entry is a run of a pod, or a command beside one, from the beginning of its start until it is
// removed from the run table, which alone changes it.
type entry struct {
	id      string
	of      runtime.Origin
	mark    []byte             // the agent's
	command bool               // belongs to the stream of an Exec
	cancel  context.CancelFunc // cancels the start

	begun   chan struct{} // closed when the start has succeeded or failed
	ended   chan struct{} // closed when exit is set
	removed chan struct{} // closed when it is no longer in the run table

	unwanted  bool // the start is undone: nothing of it may stay
	guest     runtime.Guest
	startedAt time.Time
	exit      *runtime.Exit
}

func newEntry(req request, cancel context.CancelFunc) *entry {
	return &entry{
		id: req.spec.ID, of: req.spec.Of, mark: req.mark, command: req.command, cancel: cancel,
		begun: make(chan struct{}), ended: make(chan struct{}), removed: make(chan struct{}),
	}
}

// removeFrom takes the entry out of a table, and gives back what it held.
func (e *entry) removeFrom(table map[string]*entry, held *idle) {
	delete(table, e.id)
	close(e.removed)
	held.release()
}

// message is the run as the agent sees it.
func (e *entry) message() *workerpb.Run {
	m := &workerpb.Run{Id: e.id, Of: wire.ToOrigin(e.of), StartedAt: wire.ToTime(e.startedAt), Mark: e.mark}
	if e.exit != nil {
		m.Exit, m.Stats = wire.ToExit(*e.exit), wire.ToStats(e.id, e.guest.Stats())
	}
	return m
}
