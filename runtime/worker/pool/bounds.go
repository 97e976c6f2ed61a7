package pool

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// This file bounds what a worker can make its agent keep. A guest that broke out says what it likes in its worker's name.

// Far more than an honest worker has.
const (
	mostRuns      = 1 << 16 // of a worker
	mostFunctions = 256     // of the host, in all workers
	longestName   = 512     // of a run, a pod, an image: bytes
)

// saneRun reports whether what names a run is of a size that names have.
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
