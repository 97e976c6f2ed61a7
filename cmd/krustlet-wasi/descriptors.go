package main

import (
	"fmt"
	"math"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/door"
)

// descriptors is the number of files that the agent may have open (RLIMIT_NOFILE), and its shares.
// Files for clients and for readers of logs have shares of their own, so that the other files
// remain for pods.
type descriptors struct {
	limit, own int // the limit, and the part that is reserved for the agent and its pods
	// The most connections to the kubelet API, the most logs that it serves at one time, the most
	// connections that it forwards to pods, and the most connections to ports of the node.
	connections                  door.Limits
	readers, forwards, hostPorts int
	logFiles                     int // the most files that one reader of a log has open
}

// The files that the agent reserves. It has about 60 files open when it is idle. Pulls and
// compilations need more. A running pod has at most four (its worker, its ports), and some more for
// short times: volumes, logs, probes.
const (
	filesOfAgent = 256
	filesOfPod   = 16
	// filesOfHostPort is the files of one connection to a port of the node: the client's and the
	// pod's.
	filesOfHostPort = 2
	mostShared      = 131072 // a larger number is not shared out, because each connection also costs memory
)

// shareOut divides the open files of a process into shares.
func shareOut(limit uint64, maxPods, logFiles int) descriptors {
	all := int(min(limit, math.MaxInt32)) //nolint:gosec // it is bounded
	d := descriptors{limit: all, own: filesOfAgent + filesOfPod*maxPods, logFiles: logFiles + 1}
	d.own = min(d.own, all*3/4) // clients and readers get a share even of a small limit
	shared := min(all-d.own, mostShared)
	d.connections = door.LimitsFor(shared * 3 / 8)
	d.readers = max(1, shared*3/8/d.logFiles)
	d.forwards = max(1, shared/16)
	d.hostPorts = max(1, shared/8/filesOfHostPort)
	return d
}

// files is the most files that clients and readers may have open.
func (d descriptors) files() int {
	return d.connections.Files() + d.readers*d.logFiles + d.forwards + d.hostPorts*filesOfHostPort
}

// wanted is the least limit without a warning: the agent's reserve, and the same number again for
// clients and readers.
func wanted(maxPods int) int { return 2 * (filesOfAgent + filesOfPod*maxPods) }

// newDescriptors finds out how many files the agent may open. When the process began, Go raised the
// soft limit to one less than the hard limit.
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
