package wire

import (
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Bounds of what a worker says of its guests. A guest that broke out says what it likes in its
// worker's name.
const (
	MostCount   = 1 << 53 // calls, bytes or nanoseconds: their sums still fit
	longestText = 4 << 10 // as runtime.Exit has it
)

// clip cuts a text of a worker. The result does not keep the whole message in memory.
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
