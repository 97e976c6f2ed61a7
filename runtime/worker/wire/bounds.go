package wire

import (
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Bounds of what a worker says about its guests. A guest that broke out can say anything in its
// worker's name.
const (
	MostCount   = 1 << 53 // calls, bytes or nanoseconds: sums of them still fit
	longestText = 4 << 10 // the same as in runtime.Exit
)

// clip shortens a text from a worker. The result does not keep the whole message in memory.
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

func count(n int64) int64 { return max(0, min(n, MostCount)) }

func duration(n int64) time.Duration { return time.Duration(count(n)) }
