package wire

import (
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// ToTime converts a time to nanoseconds since 1970; 0 means no time.
func ToTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// FromTime reverts ToTime.
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

// ToSpec converts a spec to a message.
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

		Http: toHTTP(s.HTTP), ConfigFolders: toBytes(s.ConfigFolders), Network: toNetwork(s.Network),
	}
}

// FromSpec converts a message to a spec.
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
		Command:     runtime.Command{Args: fromBytes(s.GetArgs()), Stdin: s.GetStdin(), StdinOnce: s.GetStdinOnce(), Listen: s.GetListen(), ListenFree: s.GetListenFree()},
		Env:         fromBytes(s.GetEnv()),
		WorkDir:     string(s.GetWorkDir()),
		Mounts:      mounts,
		Log:         string(s.GetLog()),
		LogMaxSize:  s.GetLogMaxSize(),
		LogMaxFiles: int(s.GetLogMaxFiles()),
		MemoryLimit: s.GetMemoryLimit(),
		CPULimit:    s.GetCpuLimit(),

		OutputRate: s.GetOutputRate(),

		HTTP: fromHTTP(s.GetHttp()), ConfigFolders: fromBytes(s.GetConfigFolders()), Network: fromNetwork(s.GetNetwork()),
	}
}

// ToOrigin converts an origin to a message.
func ToOrigin(o runtime.Origin) *workerpb.Origin {
	return &workerpb.Origin{Pod: o.Pod, Container: o.Container, Attempt: o.Attempt, ImageId: o.ImageID, Beside: o.Beside}
}

// FromOrigin converts a message to an origin.
func FromOrigin(o *workerpb.Origin) runtime.Origin {
	return runtime.Origin{Pod: o.GetPod(), Container: o.GetContainer(), Attempt: o.GetAttempt(), ImageID: o.GetImageId(), Beside: o.GetBeside()}
}

// ToExit converts an exit to a message.
func ToExit(e runtime.Exit) *workerpb.Exit {
	return &workerpb.Exit{
		Code:       e.Code,
		Reason:     string(e.Reason),
		Message:    strings.ToValidUTF8(e.Message, "\uFFFD"),
		StartedAt:  ToTime(e.StartedAt),
		FinishedAt: ToTime(e.FinishedAt),
	}
}

// FromExit converts a message to an exit, within bounds.
func FromExit(e *workerpb.Exit) runtime.Exit {
	return runtime.Exit{
		Code:       e.GetCode(),
		Reason:     reasonOf(e.GetReason()),
		Message:    clip(e.GetMessage(), longestText),
		StartedAt:  FromTime(e.GetStartedAt()),
		FinishedAt: FromTime(e.GetFinishedAt()),
	}
}

// ToStats converts the usage of the guest with this ID to a message.
func ToStats(id string, s runtime.Stats) *workerpb.Stats {
	return &workerpb.Stats{
		Id: id, Cpu: int64(s.CPU), Throttled: int64(s.Throttled), Memory: s.Memory, Received: s.Traffic.Received,
		Sent: s.Traffic.Sent, ReceiveErrors: s.Traffic.ReceiveErrors, SendErrors: s.Traffic.SendErrors,
		Http: toHTTPStats(s.HTTP),
	}
}

// FromStats converts a message to a usage, within bounds.
func FromStats(s *workerpb.Stats) runtime.Stats {
	return runtime.Stats{
		CPU: duration(s.GetCpu()), Throttled: duration(s.GetThrottled()), Memory: count(s.GetMemory()),
		Traffic: runtime.Traffic{
			Received: count(s.GetReceived()), Sent: count(s.GetSent()),
			ReceiveErrors: count(s.GetReceiveErrors()), SendErrors: count(s.GetSendErrors()),
		},
		HTTP: fromHTTPStats(s.GetHttp()),
	}
}
