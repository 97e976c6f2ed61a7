package main

import (
	"fmt"
	"math"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/door"
)

// descriptors are the open files that the agent may have (RLIMIT_NOFILE), and their shares. What
// clients and readers of logs cause has shares of its own, so that the rest is left for pods.
type descriptors struct {
	limit, own int // all, and what is kept for the agent and its pods
	// Connections to the kubelet API, logs that it serves at one time, connections that it forwards
	// to pods, and connections to ports of the node that lead to pods.
	connections                  door.Limits
	readers, forwards, hostPorts int
	logFiles                     int // that one reader may have open
}

// What the agent keeps. It has some 60 files open when it does nothing. Pulls and compilations add
// to that. A pod has at most four while it runs (its worker, its ports), and some more for a
// moment: volumes, logs, probes.
const (
	filesOfAgent = 256
	filesOfPod   = 16
	// filesOfHostPort is for one connection to a port of the node: the client's file and the pod's.
	filesOfHostPort = 2
	mostShared      = 131072 // more are not shared out: each costs memory too
)

// shareOut divides the open files of a process.
func shareOut(limit uint64, maxPods, logFiles int) descriptors {
	all := int(min(limit, math.MaxInt32)) //nolint:gosec // it is bounded
	d := descriptors{limit: all, own: filesOfAgent + filesOfPod*maxPods, logFiles: logFiles + 1}
	d.own = min(d.own, all*3/4) // a limit that is too small is shared, too
	shared := min(all-d.own, mostShared)
	d.connections = door.LimitsFor(shared * 3 / 8)
	d.readers = max(1, shared*3/8/d.logFiles)
	d.forwards = max(1, shared/16)
	d.hostPorts = max(1, shared/8/filesOfHostPort)
	return d
}

// files is how many files clients and readers may have at most.
func (d descriptors) files() int {
	return d.connections.Files() + d.readers*d.logFiles + d.forwards + d.hostPorts*filesOfHostPort
}

// wanted is the least limit that has what the agent keeps, and as much again for clients and
// readers.
func wanted(maxPods int) int { return 2 * (filesOfAgent + filesOfPod*maxPods) }

// newDescriptors asks how many files the agent may open. Go raised the soft limit to the hard one,
// less one, when the process began.
func newDescriptors(cfg config.Config, log *zap.Logger) (descriptors, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return descriptors{}, fmt.Errorf("asking for the limit of open files: %w", err)
	}
	d := shareOut(limit.Cur, cfg.MaxPods, cfg.ContainerLogMaxFiles)
	if want := wanted(cfg.MaxPods); d.limit < want {
		log.Warn(fmt.Sprintf("the limit of open files is %d, and --max-pods=%d wants %d: raise it (systemd: LimitNOFILE=), or allow fewer pods",
			d.limit, cfg.MaxPods, want))
	}
	return d, nil
}
