package worker

import (
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// This file bounds what a worker can make its agent keep. A guest that broke out says what it likes in its worker's name.

// Far more than an honest worker has.
const (
	mostRuns      = 1 << 16 // of a worker
	mostFunctions = 256     // of the host, in all workers
	mostCount     = 1 << 53 // of calls, bytes or nanoseconds: sums stay numbers
	longestName   = 512     // of a run, a pod, an image: bytes
	longestText   = 4 << 10 // as runtime.Exit has it
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

// clip cuts a text of a worker's. It does not keep the message alive that the text came in.
func clip(text string, most int) string {
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "")
	}
	return text
}

func reasonOf(text string) runtime.Reason {
	switch r := runtime.Reason(text); r {
	case runtime.Completed, runtime.OOMKilled:
		return r
	}
	return runtime.Error
}

func count(n int64) int64 { return max(0, min(n, mostCount)) }

func duration(n int64) time.Duration { return time.Duration(count(n)) }

// saneCalls reports whether a function of the host can have that name, and that many calls.
func saneCalls(function string, n uint64) bool {
	return len(function) <= 64 && n <= mostCount
}
