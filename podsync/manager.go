package podsync

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"

	"github.com/krustlet-go/krustlet-wasi/podsync/informer"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/metrics"
	"github.com/krustlet-go/krustlet-wasi/podsync/objects"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// Images has the modules that containers run. *registry.Store is one.
type Images interface {
	// Lookup finds an image on disk that the keys allow, and unpacks it if necessary. It does not
	// ask a registry.
	Lookup(ctx context.Context, image string, keys registry.Keys) (module registry.Module, present bool, err error)
	// PullToRun asks the registry for an image, fetches the parts that are not on disk, and unpacks
	// it.
	PullToRun(ctx context.Context, image string, keys registry.Keys) (registry.Pulled, error)
	// LookupFiles and PullFiles do the same for images whose files a volume shows. They return only
	// the root of the module.
	LookupFiles(ctx context.Context, image string, keys registry.Keys) (module registry.Module, present bool, err error)
	PullFiles(ctx context.Context, image string, keys registry.Keys) (registry.Pulled, error)
}

// Settings are the settings of a Manager. All fields up to Log are required, unless their comment
// says otherwise.
type Settings struct {
	NodeName    string     // the Manager runs the pods that are bound to this node
	Address     netip.Addr // of the node
	DataDir     string     // absolute; pods/ and logs/ in it belong to the Manager
	Client      kubernetes.Interface
	Images      Images
	Credentials *credentials.Source // the node's, for images; nil if it has none
	Engine      runtime.Engine
	Allocatable corev1.ResourceList // what the node gives to pods
	Events      record.EventRecorder
	DNS         podfiles.DNS
	Log         *zap.Logger
	// ContainerLogMaxSize is the size in bytes at which a container's log is rotated; with 0 it
	// never is. ContainerLogMaxFiles bounds the files of one log.
	ContainerLogMaxSize  int64
	ContainerLogMaxFiles int
	ContainerOutputRate  int64 // how many bytes a container may print in a second; 0 means no limit
	// Pressure reports what the node is short of. If it is nil, the node is never short of
	// anything. FreeDisk removes files from the disk that no pod needs, except files of the
	// Manager. If it is nil, there are no such files.
	Pressure Pressure
	FreeDisk func(ctx context.Context)
	// Metrics and Probed count events of pods and probes. Tracer records spans. Disks reports what
	// pods have on disk.
	Metrics *metrics.Pods
	Probed  *metrics.Probes
	Tracer  trace.Tracer
	Disks   Disks
	// Requests takes requests of HTTP handlers. Without its Record, workers keep none.
	Requests RequestTraces

	// PodCIDRs are the ranges of addresses for pods if the Node has no podCIDR: at most one of IPv4
	// and one of IPv6. With NodeAddressOnly pods have the node's address, even if there are ranges.
	PodCIDRs        []netip.Prefix
	NodeAddressOnly bool
	HostPorts       HostPorts // nil: the node does not listen for pods

	// EgressLimit is the node's ceiling of where guests connect to, and DefaultEgress the list of
	// pods that do not say: lists of egress. Cluster knows what the cluster says of the network. If
	// it is nil, the node enforces no NetworkPolicies, and leads no connections to Services.
	EgressLimit   string
	DefaultEgress string
	Cluster       Cluster

	// LogsDir is an absolute path. The folder has the logs of pods, and may have other files. Empty
	// means DataDir/logs.
	LogsDir string
	// LogLinksDir is an absolute path of an existing folder for links to logs, or empty for no
	// links.
	LogLinksDir string
	// LogEvents tells followers that a log has new lines. If it is nil, each follower asks the
	// kernel.
	LogEvents *logfile.Watcher
}

// parallelWrites is how many statuses may be written to the API server at one time.
const parallelWrites = 32

// Manager runs the pods that are bound to a node. Make one with New.
type Manager struct {
	Settings
	writes   chan struct{} // holds a token for each status that is being written
	looks    chan struct{} // holds a token for each count of what a pod has on disk
	classes  runtimeClasses
	services services
	objects  *objects.Store // ConfigMaps and Secrets
	node     *nodeReader
	network  network
	eviction eviction
	sessions sessions

	judging sync.Mutex    // held while the node decides whether it has room for a pod
	synced  chan struct{} // closed when all pods of the first list are known
	loops   podLoops
	found   foundRuns
	denials denials
}

// New makes a Manager. It does nothing before Run.
func New(settings Settings) *Manager {
	settings.watchers()
	m := &Manager{
		Settings: settings,
		objects:  objects.New(settings.Client),
		writes:   make(chan struct{}, parallelWrites),
		looks:    make(chan struct{}, parallelLooks),
		node:     &nodeReader{client: settings.Client, name: settings.NodeName},
		synced:   make(chan struct{}),
	}
	m.network.node, m.network.log = m.node, m.Log
	m.network.fallback, m.network.off = m.PodCIDRs, m.NodeAddressOnly
	m.network.pool.Keep("", []netip.Addr{m.Address})
	m.eviction.Settings, m.eviction.loops = &m.Settings, &m.loops
	m.classes = newClasses(m.Client, m.loops.nudge, m.Log.Named("runtimeclasses"))
	m.services = newServices(m.Client, m.Cluster, m.Log.Named("services"))
	return m
}

// watchers replaces missing observers with observers whose figures are not used.
func (s *Settings) watchers() {
	if s.Metrics == nil {
		s.Metrics = metrics.NewPods()
	}
	if s.Probed == nil {
		s.Probed = metrics.NewProbes()
	}
	if s.Tracer == nil {
		s.Tracer = noop.NewTracerProvider().Tracer("")
	}
}

// Run takes over the pods that are bound to the node, and their runs that the engine already has.
// It works until ctx ends, and returns when every pod loop has ended. Guests go on. The owner of
// the engine ends them, or the next Manager takes them over.
func (m *Manager) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	defer loops.Wait()
	if err := podfiles.AdoptNotes(m.DataDir); err != nil {
		m.Log.Warn("what earlier agents knew of their pods is partly lost: commands and probes may not run in them until they are started again", zap.Error(err))
	}
	m.found.keep(m.Engine.Runs())
	handler := informer.Handler[*corev1.Pod]{
		Set: func(_, pod *corev1.Pod) { m.set(ctx, &loops, pod) },
		Delete: func(pod *corev1.Pod) {
			if w := m.loops.get(pod.UID); w != nil {
				w.mailbox.put(nil)
			}
		},
	}
	pods := informer.New(podsOf(m.Client, m.NodeName), handler, m.Log.Named("informer"))
	loops.Go(func() { m.clearOrphans(ctx, pods) })
	loops.Go(func() { m.eviction.run(ctx, m.synced) })
	loops.Go(func() { m.traceRequests(ctx) })
	loops.Go(func() {
		if err := m.classes.Run(ctx); err != nil {
			m.Log.Error("cannot watch the RuntimeClasses", zap.Error(err))
		}
	})
	loops.Go(func() { m.services.tellListed(ctx) })
	loops.Go(func() {
		if err := m.services.Run(ctx); err != nil {
			m.Log.Error("cannot watch the Services", zap.Error(err))
		}
	})
	if err := pods.Run(ctx); err != nil {
		return fmt.Errorf("watching the node's pods: %w", err)
	}
	return nil
}

// podsOf lists and watches the pods that are bound to a node.
func podsOf(client kubernetes.Interface, node string) informer.ListWatch[*corev1.Pod] {
	bound := fields.OneTermEqualSelector("spec.nodeName", node).String()
	pods := client.CoreV1().Pods(metav1.NamespaceAll)
	return informer.ListWatch[*corev1.Pod]{
		List: func(ctx context.Context, opts metav1.ListOptions) ([]*corev1.Pod, metav1.ListMeta, error) {
			opts.FieldSelector = bound
			list, err := pods.List(ctx, opts)
			if err != nil {
				return nil, metav1.ListMeta{}, err
			}
			return informer.Pointers(list.Items), list.ListMeta, nil
		},
		Watch: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			opts.FieldSelector = bound
			return pods.Watch(ctx, opts)
		},
	}
}

// set gives a pod to its loop. For a new pod it makes the loop.
func (m *Manager) set(ctx context.Context, loops *sync.WaitGroup, pod *corev1.Pod) {
	if w := m.loops.get(pod.UID); w != nil {
		w.mailbox.put(pod)
		return
	}
	state, adopted := takeUp(pod, m.layout().Of(pod), m.found.take(pod.UID), time.Now())
	m.network.claim(state, adopted)
	w := newPodLoop(m, state, adopted)
	m.loops.add(pod.UID, w)
	loops.Go(func() {
		w.run(ctx)
		m.network.pool.Release(string(pod.UID))
		m.closePorts(pod)
		m.loops.remove(pod.UID)
		m.denials.forget(pod.UID)
		if m.Cluster != nil && ctx.Err() == nil { // the guests of an agent that ends keep their rules
			m.Cluster.DeletePod(pod.UID)
		}
	})
}

// clearOrphans ends the runs of pods that do not exist any more, and removes their files. Earlier
// agents left them.
func (m *Manager) clearOrphans(ctx context.Context, pods *informer.Informer[*corev1.Pod]) {
	if pods.WaitForSync(ctx) != nil {
		return
	}
	close(m.synced)
	var orphans []runtime.Guest
	for _, run := range m.found.takeRest() {
		orphans = append(orphans, run.Guest)
		m.Log.Warn("stopping a run of a pod that does not exist any more", zap.String("uid", run.Of.Pod), zap.String("container", run.Of.Container))
	}
	if !discard(orphans, ctx.Done()) {
		return
	}
	known := func(uid types.UID) bool { return m.loops.get(uid) != nil }
	untilComplete(ctx, func() error {
		err := m.layout().RemoveOrphans(ctx, known)
		if err != nil && ctx.Err() == nil {
			m.Log.Warn("cannot remove the folders of pods that do not exist any more, will try again", zap.Error(err))
		}
		return err
	})
}

// layout says where the files of pods are.
func (s *Settings) layout() podfiles.Layout {
	logs := s.LogsDir
	if logs == "" {
		logs = filepath.Join(s.DataDir, "logs")
	}
	return podfiles.Layout{Data: s.DataDir, Logs: logs, Links: s.LogLinksDir}
}

// untilComplete calls try until it returns no error, or ctx ends. The delays are the same as for
// the tasks of a pod.
func untilComplete(ctx context.Context, try func() error) {
	for t := (life.Task{}); ctx.Err() == nil; {
		t.End(try(), time.Now())
		if t.IsComplete() {
			return
		}
		_ = pause.For(ctx, time.Until(t.RetryAt())) // the loop ends with ctx
	}
}

// Ready returns nil, or an error that says why the node cannot take pods yet.
func (m *Manager) Ready() error {
	select {
	case <-m.synced:
		return nil
	default:
		return errors.New("the node's pods have not been listed yet")
	}
}

// Synced is closed once the node's pods are listed.
func (m *Manager) Synced() <-chan struct{} { return m.synced }

// Pods returns the pods of the node with their present status, in no order. They are shared and
// must not be changed.
func (m *Manager) Pods() []*corev1.Pod {
	pods := []*corev1.Pod{}
	for _, w := range m.loops.all() {
		pods = append(pods, w.view.Load().pod)
	}
	return pods
}
