package main

import (
	"fmt"
	"math"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/door"
)

// descriptors are the open files that the agent may have (RLIMIT_NOFILE), and who gets how many. What others cause,
// who connect from outside or read logs, has a share of its own, so that the rest is there for pods.
type descriptors struct {
	limit, own int // all, and what is kept for the agent and its pods
	// connections to the kubelet API, logs that it serves at one time, connections that it forwards to pods, and connections to
	// ports of the node that lead to pods.
	connections                  door.Limits
	readers, forwards, hostPorts int
	logFiles                     int // that one reader may have open
}

// What the agent keeps. It has some 60 files open when it does nothing; pulls and compilations add to that. A pod has
// four at most while it runs (its worker, its ports), and some more for a moment: volumes, logs, probes.
const (
	filesOfAgent = 256
	filesOfPod   = 16
	// filesOfHostPort are those of a connection to a port of the node: the client's and the pod's.
	filesOfHostPort = 2
	mostShared      = 131072 // more are not shared out: each costs memory too
)

// shareOut divides the open files of a process.
func shareOut(limit uint64, maxPods, logFiles int) descriptors {
	all := int(min(limit, math.MaxInt32)) //nolint:gosec // it is bounded
	d := descriptors{limit: all, own: filesOfAgent + filesOfPod*maxPods, logFiles: logFiles + 1}
	d.own = min(d.own, all*3/4) // what is too small is shared all the same
	shared := min(all-d.own, mostShared)
	d.connections = door.LimitsFor(shared * 3 / 8)
	d.readers = max(1, shared*3/8/d.logFiles)
	d.forwards = max(1, shared/16)
	d.hostPorts = max(1, shared/8/filesOfHostPort)
	return d
}

// files are those that others may have at most.
func (d descriptors) files() int {
	return d.connections.Files() + d.readers*d.logFiles + d.forwards + d.hostPorts*filesOfHostPort
}

// wanted is the least limit that has what the agent keeps, and as much again for others.
func wanted(maxPods int) int { return 2 * (filesOfAgent + filesOfPod*maxPods) }

// newDescriptors asks how many files the agent may open. When the process began, Go
// has raised the soft limit to the hard one, less one.
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
