package pool

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// Bounds of what a worker can make its agent keep; package wire has those of single messages. They
// are far above what an honest worker has.
const (
	mostRuns      = 1 << 16 // of a worker
	mostFunctions = 256     // of the host, in all workers
	longestName   = 512     // of a run, a pod, an image: bytes
)

// saneRun reports whether a run has its names, and each has the size of a name.
func saneRun(m *workerpb.Run) bool {
	of := m.GetOf()
	for _, name := range []string{m.GetId(), of.GetPod(), of.GetContainer(), of.GetImageId(), of.GetBeside()} {
		if len(name) > longestName {
			return false
		}
	}
	return m.GetId() != "" && of.GetPod() != "" && of.GetContainer() != ""
}

// saneCalls reports whether a function of the host can have that name, and that many calls.
func saneCalls(function string, n uint64) bool {
	return len(function) <= 64 && n <= wire.MostCount
}
