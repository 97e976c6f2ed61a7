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
	nodev1 "k8s.io/api/node/v1"
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
)

// Images has the modules that containers run. *registry.Store is one.
type Images interface {
	// Lookup finds an image on disk that the keys allow, and unpacks it if need be. It asks no
	// registry.
	Lookup(ctx context.Context, image string, keys registry.Keys) (module registry.Module, present bool, err error)
	// PullToRun asks the registry for an image, fetches what is not on disk, and unpacks it.
	PullToRun(ctx context.Context, image string, keys registry.Keys) (registry.Pulled, error)
	// The same of images whose files a volume shows: of the module there is but the root.
	LookupFiles(ctx context.Context, image string, keys registry.Keys) (module registry.Module, present bool, err error)
	PullFiles(ctx context.Context, image string, keys registry.Keys) (registry.Pulled, error)
}

// Settings is what a Manager works with. All fields are needed, but for those that say otherwise,
// of logs, and the addresses of pods.
type Settings struct {
	NodeName    string     // pods bound to this node are run
	Address     netip.Addr // the node's
	DataDir     string     // absolute; pods/ and logs/ below it are the Manager's
	Client      kubernetes.Interface
	Images      Images
	Credentials *credentials.Source // the node's, for images; nil: it has none
	Engine      runtime.Engine
	Allocatable corev1.ResourceList // what the node gives to pods
	Events      record.EventRecorder
	DNS         podfiles.DNS
	Log         *zap.Logger
	// ContainerLogMaxSize is the size, in bytes, at which a container's log is rotated; 0 never.
	// ContainerLogMaxFiles bounds the files of one log.
	ContainerLogMaxSize  int64
	ContainerLogMaxFiles int
	ContainerOutputRate  int64 // bytes that a container may print a second; 0 is no bound
	// Pressure says what the node is short of; nil: nothing. FreeDisk removes from its disk what no
	// pod needs, but for what is the Manager's; nil: there is nothing.
	Pressure Pressure
	FreeDisk func(ctx context.Context)
	// What happens is counted in Metrics and Probed, and told to Tracer; Disks says what pods have
	// on disk.
	Metrics *metrics.Pods
	Probed  *metrics.Probes
	Tracer  trace.Tracer
	Disks   Disks

	// PodCIDRs are ranges of addresses for pods where the Node has no podCIDR: at most one of IPv4
	// and one of IPv6. With NodeAddressOnly pods have the node's address, whatever ranges there
	// are.
	PodCIDRs        []netip.Prefix
	NodeAddressOnly bool
	HostPorts       HostPorts // nil: the node does not listen for pods

	LogsDir     string           // absolute; the pods' logs, beside those of others; empty is DataDir/logs
	LogLinksDir string           // absolute and there; a folder for links to logs; empty makes none
	LogEvents   *logfile.Watcher // tells followers of what is written; nil: each asks the kernel for itself
}

// parallelWrites is how many statuses may be on their way to the API server at once.
const parallelWrites = 32

// Manager runs the pods that are bound to a node. Make one with New.
type Manager struct {
	Settings
	writes   chan struct{} // holds a token per status on its way
	looks    chan struct{} // and one per look at what a pod has on disk
	classes  *informer.Informer[*nodev1.RuntimeClass]
	services *informer.Informer[*corev1.Service]
	objects  *objects.Store // ConfigMaps and Secrets

	admissions admissions
	network    network
	sessions   sessions

	synced chan struct{} // closed when every pod that the API server has is known

	mu    sync.Mutex
	loops map[types.UID]*podLoop
	found map[types.UID][]runtime.Run // runs from before, of pods that have no loop yet
}

// New makes a Manager, which does nothing before Run.
func New(settings Settings) *Manager {
	settings.watchers()
	m := &Manager{
		Settings: settings,
		objects:  objects.New(settings.Client),
		writes:   make(chan struct{}, parallelWrites),
		looks:    make(chan struct{}, parallelLooks),
		loops:    map[types.UID]*podLoop{},
		synced:   make(chan struct{}),
	}
	m.network.pool.Keep("", []netip.Addr{m.Address})
	m.classes = newClasses(m.Client, m.classChanged, m.Log.Named("runtimeclasses"))
	m.services = newServices(m.Client, m.Log.Named("services"))
	return m
}

// watchers replaces those that are missing by ones that tell no one.
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

// Run takes up the pods bound to the node, and the runs of them that the engine has from before,
// and works until ctx ends; it returns when every pod loop has. Guests are left as they are: the
// owner of the engine ends them, or the next Manager finds them.
func (m *Manager) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	defer loops.Wait()
	if err := podfiles.AdoptNotes(m.DataDir); err != nil {
		m.Log.Warn("what earlier agents knew of their pods is partly lost: commands and probes may not run in them until they are started again", zap.Error(err))
	}
	m.keepFound(m.Engine.Runs())
	handler := informer.Handler[*corev1.Pod]{
		Set: func(_, pod *corev1.Pod) { m.set(ctx, &loops, pod) },
		Delete: func(pod *corev1.Pod) {
			if w := m.loop(pod.UID); w != nil {
				w.mailbox.put(nil)
			}
		},
	}
	pods := informer.New(podsOf(m.Client, m.NodeName), handler, m.Log.Named("informer"))
	loops.Go(func() { m.clearOrphans(ctx, pods) })
	loops.Go(func() { m.relieve(ctx) })
	loops.Go(func() {
		if err := m.classes.Run(ctx); err != nil {
			m.Log.Error("cannot watch the RuntimeClasses", zap.Error(err))
		}
	})
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

// set gives a pod to its loop, and makes the loop if the pod is new.
func (m *Manager) set(ctx context.Context, loops *sync.WaitGroup, pod *corev1.Pod) {
	if w := m.loop(pod.UID); w != nil {
		w.mailbox.put(pod)
		return
	}
	state, adopted := takeUp(pod, m.layout().Of(pod), m.takeFound(pod.UID), time.Now())
	m.claim(state, adopted)
	w := newPodLoop(m, state, adopted)
	m.mu.Lock()
	m.loops[pod.UID] = w
	m.mu.Unlock()
	loops.Go(func() {
		w.run(ctx)
		m.network.pool.Release(string(pod.UID))
		m.closePorts(pod)
		m.mu.Lock()
		delete(m.loops, pod.UID)
		m.mu.Unlock()
	})
}

func (m *Manager) loop(uid types.UID) *podLoop {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.loops[uid]
}

// keepFound sorts runs from before by their pods.
func (m *Manager) keepFound(runs []runtime.Run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.found = map[types.UID][]runtime.Run{}
	for _, run := range runs {
		uid := types.UID(run.Of.Pod)
		m.found[uid] = append(m.found[uid], run)
	}
}

// takeFound returns the runs of a pod from before, once.
func (m *Manager) takeFound(uid types.UID) []runtime.Run {
	m.mu.Lock()
	defer m.mu.Unlock()
	runs := m.found[uid]
	delete(m.found, uid)
	return runs
}

// takeOrphans returns the runs that no pod has taken, once.
func (m *Manager) takeOrphans() []runtime.Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	var orphans []runtime.Process
	for uid, runs := range m.found {
		for _, run := range runs {
			orphans = append(orphans, run.Process)
			m.Log.Warn("stopping a run of a pod that is gone", zap.String("uid", string(uid)), zap.String("container", run.Of.Container))
		}
	}
	m.found = nil
	return orphans
}

// clearOrphans ends and removes what earlier agents left of pods that are no longer there.
func (m *Manager) clearOrphans(ctx context.Context, pods *informer.Informer[*corev1.Pod]) {
	if pods.WaitForSync(ctx) != nil {
		return
	}
	close(m.synced)
	if !discard(m.takeOrphans(), ctx.Done()) {
		return
	}
	known := func(uid types.UID) bool { return m.loop(uid) != nil }
	untilComplete(ctx, func() error {
		err := m.layout().RemoveOrphans(ctx, known)
		if err != nil && ctx.Err() == nil {
			m.Log.Warn("cannot remove the folders of pods that are gone, will try again", zap.Error(err))
		}
		return err
	})
}

// layout is where the pods' files are.
func (m *Manager) layout() podfiles.Layout {
	logs := m.LogsDir
	if logs == "" {
		logs = filepath.Join(m.DataDir, "logs")
	}
	return podfiles.Layout{Data: m.DataDir, Logs: logs, Links: m.LogLinksDir}
}

// untilComplete calls try until it has no error, or ctx ends, with the delays of a pod's tasks.
func untilComplete(ctx context.Context, try func() error) {
	for t := (life.Task{}); ctx.Err() == nil; {
		t.End(try(), time.Now())
		if t.IsComplete() {
			return
		}
		select {
		case <-time.After(time.Until(t.RetryAt())):
		case <-ctx.Done():
		}
	}
}

// Ready says why the node cannot take pods yet, or nil.
func (m *Manager) Ready() error {
	select {
	case <-m.synced:
		return nil
	default:
		return errors.New("the node's pods have not been listed yet")
	}
}

// Synced is closed once the node's pods have been listed.
func (m *Manager) Synced() <-chan struct{} { return m.synced }

// Pods returns the pods of the node with the status of now, in no order. The pods are shared and
// must not be changed.
func (m *Manager) Pods() []*corev1.Pod {
	m.mu.Lock()
	defer m.mu.Unlock()
	pods := make([]*corev1.Pod, 0, len(m.loops))
	for _, w := range m.loops {
		pods = append(pods, w.view.Load().pod)
	}
	return pods
}

// find returns the pod of that name that lives, or else one that is being removed.
func (m *Manager) find(namespace, name string) (*podLoop, *view) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found *podLoop
	var seen *view
	for _, w := range m.loops {
		v := w.view.Load()
		if v.pod.Namespace != namespace || v.pod.Name != name {
			continue
		}
		if found == nil || v.pod.DeletionTimestamp == nil {
			found, seen = w, v
		}
	}
	return found, seen
}
