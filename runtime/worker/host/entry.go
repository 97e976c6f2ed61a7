package host

import (
	"context"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// entry is a run of a pod, or a command beside one, from the beginning of its start until its
// removal from the run table. Only the run table changes it.
type entry struct {
	id      string
	of      runtime.Origin
	mark    []byte             // given by the agent
	command bool               // it belongs to the stream of an Exec
	cancel  context.CancelFunc // cancels the start

	begun   chan struct{} // closed after the start has succeeded or failed
	ended   chan struct{} // closed after exit is set
	removed chan struct{} // closed after the removal from the run table

	unwanted  bool // the start must be undone; nothing of it may stay
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

// removeFrom removes the entry from a table, and releases its hold.
func (e *entry) removeFrom(table map[string]*entry, held *idle) {
	delete(table, e.id)
	close(e.removed)
	held.release()
}

// message is the run in the form for the agent.
func (e *entry) message() *workerpb.Run {
	m := &workerpb.Run{Id: e.id, Of: wire.ToOrigin(e.of), StartedAt: wire.ToTime(e.startedAt), Mark: e.mark}
	if e.exit != nil {
		m.Exit, m.Stats = wire.ToExit(*e.exit), wire.ToStats(e.id, e.guest.Stats())
	}
	return m
}
