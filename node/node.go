package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// ErrForeign means that the Node with our name belongs to another kind of kubelet.
var ErrForeign = errors.New("the Node belongs to another kubelet")

// Node keeps one Node object up to date.
type Node struct {
	cfg      Config
	client   kubernetes.Interface
	recorder record.EventRecorder
	log      *zap.Logger
	// machineRoot is always /, except in tests.
	machineRoot string

	registered chan struct{}
	// uid is the UID of the Node in the API. The lease names it as its owner.
	uid atomic.Pointer[types.UID]

	// The goroutine of Run owns the fields below.
	adopted  types.UID
	lastSent time.Time
}

// New checks cfg. The client should act as system:node:NAME. If recorder is nil, no events are
// recorded.
func New(cfg Config, client kubernetes.Interface, recorder record.EventRecorder, log *zap.Logger) (*Node, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Taints == nil {
		cfg.Taints = DefaultTaints()
	}
	if cfg.Ready == nil {
		cfg.Ready = func() error { return nil }
	}
	if cfg.Pressure == nil {
		cfg.Pressure = NewPressure(cfg.DataDir, DefaultThresholds(), DefaultPressureTransition)
	}
	if log == nil {
		log = zap.NewNop()
	}
	if _, err := readMachine("/", cfg.DataDir); err != nil {
		return nil, err
	}
	return &Node{
		cfg: cfg, client: client, recorder: recorder,
		log: log.With(zap.String("node", cfg.Name)), machineRoot: "/",
		registered: make(chan struct{}),
	}, nil
}

// Run registers the Node and keeps it up to date. It blocks until ctx ends, and then returns nil.
// It returns earlier only with ErrForeign. An outage of the API server does not end it.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	n.event(corev1.EventTypeNormal, "Starting", "Starting kubelet.")
	if err := n.register(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	close(n.registered)

	look := make(chan struct{}, 1)
	running.Go(func() { n.renewLease(ctx) })
	running.Go(func() { n.watch(ctx, look) })
	return n.keep(ctx, look)
}

// register does the first synchronisation. It tries until that succeeds.
func (n *Node) register(ctx context.Context) error {
	backoff := wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 1 << 30, Cap: registerBackoff}
	for {
		err := n.sync(ctx)
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrForeign) {
			return err
		}
		again := backoff.Step().Round(time.Millisecond)
		n.log.Warn("registering the node did not succeed, will try again", zap.Duration("in", again), zap.Error(err))
		if pause.For(ctx, again) != nil {
			return ctx.Err()
		}
	}
}

// keep synchronises every 10 s, when the readiness of the node changes, and when look has an
// element.
func (n *Node) keep(ctx context.Context, look <-chan struct{}) error {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	last := time.Now()
	wasReady := n.cfg.Ready() == nil
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look:
		case now := <-poll.C:
			if now.Sub(last) < statusInterval && (n.cfg.Ready() == nil) == wasReady {
				continue
			}
		}
		last, wasReady = time.Now(), n.cfg.Ready() == nil
		err := n.sync(ctx)
		switch {
		case errors.Is(err, ErrForeign):
			return err
		case err != nil && ctx.Err() == nil:
			n.log.Warn("reporting the node's status did not succeed, will try again", zap.Error(err))
		}
	}
}

// event records an event on the Node. The event has the node's name as its UID, as a kubelet's
// events have. So kubectl describe node shows it, also after the Node was created again.
func (n *Node) event(kind, reason, message string) {
	if n.recorder == nil {
		return
	}
	n.recorder.Event(&corev1.ObjectReference{Kind: "Node", Name: n.cfg.Name, UID: types.UID(n.cfg.Name)}, kind, reason, message)
}

// reportReadiness records an event if the Ready condition has changed.
func (n *Node) reportReadiness(old, new *corev1.NodeStatus) {
	is := readyStatus(new)
	if readyStatus(old) == is {
		return
	}
	reason := "NodeReady"
	if is != corev1.ConditionTrue {
		reason = "NodeNotReady"
	}
	n.log.Info("the node's readiness changed", zap.String("status", reason))
	n.event(corev1.EventTypeNormal, reason, fmt.Sprintf("Node %s status is now: %s", n.cfg.Name, reason))
}
