package pool

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// Bounds of what a worker can make its agent store; package wire has the bounds of single messages.
// They are far above the numbers of a normal worker.
const (
	mostRuns      = 1 << 16 // of a worker
	mostFunctions = 256     // of the host, in all workers
	longestName   = 512     // of a run, a pod, an image, in bytes
)

// saneRun reports whether a run has its names, and none of them is too long.
func saneRun(m *workerpb.Run) bool {
	of := m.GetOf()
	for _, name := range []string{m.GetId(), of.GetPod(), of.GetContainer(), of.GetImageId(), of.GetBeside()} {
		if len(name) > longestName {
			return false
		}
	}
	return m.GetId() != "" && of.GetPod() != "" && of.GetContainer() != ""
}

// saneCalls reports whether the name and the number of calls of a host function are possible.
func saneCalls(function string, n uint64) bool {
	return len(function) <= 64 && n <= wire.MostCount
}
