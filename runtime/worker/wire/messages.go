package wire

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// protocol is the version of the protocol that both sides speak.
const Protocol = 1

// chunk is how much of a stream goes into one message.
const Chunk = 64 << 10

var (
	ErrStale   = errors.New("another agent has taken over the worker")
	ErrEnding  = fmt.Errorf("the worker is about to end: %w", runtime.ErrLost)
	ErrUnknown = errors.New("the worker has no such run")
)

// classes are the errors that keep their identity on the wire.
var classes = map[workerpb.Failure_Class]error{
	workerpb.Failure_FULL:         runtime.ErrFull,
	workerpb.Failure_NOT_COMPILED: runtime.ErrNotCompiled,
	workerpb.Failure_STALE:        ErrStale,
	workerpb.Failure_ENDING:       ErrEnding,
	workerpb.Failure_STDIN:        runtime.ErrStdin,
	workerpb.Failure_UNKNOWN:      ErrUnknown,
}

// remoteError is an error from the other side: its text, and what it is of, if anything.
type remoteError struct {
	text string
	of   error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.of }

func ToFailure(err error) *workerpb.Failure {
	f := &workerpb.Failure{Text: strings.ToValidUTF8(err.Error(), "\uFFFD")}
	for class, of := range classes {
		if errors.Is(err, of) {
			f.Class = class
		}
	}
	return f
}

func FromFailure(f *workerpb.Failure) error {
	return &remoteError{text: clip(f.GetText(), longestText), of: classes[f.GetClass()]}
}

func ToTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func FromTime(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

func toBytes(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = []byte(s)
	}
	return out
}

func fromBytes(list [][]byte) []string {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, len(list))
	for i, b := range list {
		out[i] = string(b)
	}
	return out
}

func ToSpec(s runtime.Spec) *workerpb.Spec {
	mounts := make([]*workerpb.Mount, len(s.Mounts))
	for i, m := range s.Mounts {
		mounts[i] = &workerpb.Mount{Host: []byte(m.Host), Guest: []byte(m.Guest), ReadOnly: m.ReadOnly}
	}
	return &workerpb.Spec{
		Id:          s.ID,
		Of:          ToOrigin(s.Of),
		Isolated:    s.Isolated,
		Module:      []byte(s.Module),
		Digest:      s.Digest,
		Args:        toBytes(s.Args),
		Env:         toBytes(s.Env),
		WorkDir:     []byte(s.WorkDir),
		Mounts:      mounts,
		Log:         []byte(s.Log),
		LogMaxSize:  s.LogMaxSize,
		LogMaxFiles: int64(s.LogMaxFiles),
		MemoryLimit: s.MemoryLimit,
		CpuLimit:    s.CPULimit,
		Stdin:       s.Stdin,
		StdinOnce:   s.StdinOnce,
		Listen:      s.Listen,
		ListenFree:  s.ListenFree,
		OutputRate:  s.OutputRate,
	}
}

func FromSpec(s *workerpb.Spec) runtime.Spec {
	var mounts []runtime.Mount
	for _, m := range s.GetMounts() {
		mounts = append(mounts, runtime.Mount{Host: string(m.GetHost()), Guest: string(m.GetGuest()), ReadOnly: m.GetReadOnly()})
	}
	return runtime.Spec{
		ID:          s.GetId(),
		Of:          FromOrigin(s.GetOf()),
		Isolated:    s.GetIsolated(),
		Module:      string(s.GetModule()),
		Digest:      s.GetDigest(),
		Args:        fromBytes(s.GetArgs()),
		Env:         fromBytes(s.GetEnv()),
		WorkDir:     string(s.GetWorkDir()),
		Mounts:      mounts,
		Log:         string(s.GetLog()),
		LogMaxSize:  s.GetLogMaxSize(),
		LogMaxFiles: int(s.GetLogMaxFiles()),
		MemoryLimit: s.GetMemoryLimit(),
		CPULimit:    s.GetCpuLimit(),
		Stdin:       s.GetStdin(),
		StdinOnce:   s.GetStdinOnce(),
		Listen:      s.GetListen(),
		ListenFree:  s.GetListenFree(),
		OutputRate:  s.GetOutputRate(),
	}
}

func ToOrigin(o runtime.Origin) *workerpb.Origin {
	return &workerpb.Origin{Pod: o.Pod, Container: o.Container, Attempt: o.Attempt, ImageId: o.ImageID, Beside: o.Beside}
}

func FromOrigin(o *workerpb.Origin) runtime.Origin {
	return runtime.Origin{Pod: o.GetPod(), Container: o.GetContainer(), Attempt: o.GetAttempt(), ImageID: o.GetImageId(), Beside: o.GetBeside()}
}

func ToExit(e runtime.Exit) *workerpb.Exit {
	return &workerpb.Exit{
		Code:       e.Code,
		Reason:     string(e.Reason),
		Message:    strings.ToValidUTF8(e.Message, "\uFFFD"),
		StartedAt:  ToTime(e.StartedAt),
		FinishedAt: ToTime(e.FinishedAt),
	}
}

func FromExit(e *workerpb.Exit) runtime.Exit {
	return runtime.Exit{
		Code:       e.GetCode(),
		Reason:     reasonOf(e.GetReason()),
		Message:    clip(e.GetMessage(), longestText),
		StartedAt:  FromTime(e.GetStartedAt()),
		FinishedAt: FromTime(e.GetFinishedAt()),
	}
}

func ToStats(id string, s runtime.Stats) *workerpb.Stats {
	return &workerpb.Stats{
		Id: id, Cpu: int64(s.CPU), Throttled: int64(s.Throttled), Memory: s.Memory, Received: s.Traffic.Received,
		Sent: s.Traffic.Sent, ReceiveErrors: s.Traffic.ReceiveErrors, SendErrors: s.Traffic.SendErrors,
	}
}

func FromStats(s *workerpb.Stats) runtime.Stats {
	return runtime.Stats{
		CPU: duration(s.GetCpu()), Throttled: duration(s.GetThrottled()), Memory: count(s.GetMemory()),
		Traffic: runtime.Traffic{
			Received: count(s.GetReceived()), Sent: count(s.GetSent()),
			ReceiveErrors: count(s.GetReceiveErrors()), SendErrors: count(s.GetSendErrors()),
		},
	}
}
