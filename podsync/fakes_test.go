package podsync

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// guest is a fake run. It ends after a time, or when it is killed.
type guest struct {
	spec     runtime.Spec
	at       time.Time
	dying    time.Duration // how long a kill takes
	onForget func(*guest)
	done     chan struct{}

	mu      sync.Mutex
	exit    runtime.Exit
	kill    *time.Timer
	forgets int
	limits  []runtime.Limits // the limits that it got while it ran
	used    runtime.Stats
}

func (g *guest) Done() <-chan struct{}                         { return g.done }
func (g *guest) Exit() runtime.Exit                            { return g.exit }
func (g *guest) Attach(context.Context, runtime.Streams) error { return nil }
func (g *guest) Stats() runtime.Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.used
}

func (g *guest) use(used runtime.Stats) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.used = used
}

func (g *guest) run() runtime.Run {
	return runtime.Run{ID: g.spec.ID, Of: g.spec.Of, StartedAt: g.at, Guest: g}
}

func (g *guest) Resize(_ context.Context, limits runtime.Limits) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limits = append(g.limits, limits)
	return nil
}

func (g *guest) Stop(grace time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.kill == nil || g.kill.Stop() {
		g.kill = time.AfterFunc(grace+g.dying, func() { g.end(137) })
	}
}

func (g *guest) end(code int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ended(g) {
		return
	}
	g.exit = runtime.Exit{Code: code, Reason: runtime.Error, FinishedAt: time.Now()}
	if code == 0 {
		g.exit.Reason = runtime.Completed
	}
	close(g.done)
}

func (g *guest) Forget() {
	if g.onForget != nil {
		g.onForget(g)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forgets++
}

func (g *guest) forgotten() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.forgets
}

// engine is a fake engine that stays when an agent ends. Its guests run for the time life and then
// end with a code. If life is zero, they run until they are stopped.
type engine struct {
	life     time.Duration
	code     int32
	onForget func(*guest)
	mu       sync.Mutex
	failures []error // the errors of the next starts
	guests   []*guest
	// command runs a command beside a guest.
	command  func(spec runtime.Spec, out io.Writer) (code int32, ends bool)
	commands []*guest
}

func (e *engine) Start(_ context.Context, spec runtime.Spec, streams runtime.Streams) (runtime.Guest, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.failures) > 0 {
		err := e.failures[0]
		e.failures = e.failures[1:]
		return nil, err
	}
	g := &guest{spec: spec, at: time.Now(), done: make(chan struct{}), onForget: e.onForget}
	if spec.Of.Container == "" {
		e.commands = append(e.commands, g)
		if code, ends := e.command(spec, streams.Stdout); ends {
			g.end(code)
		}
		return g, nil
	}
	e.guests = append(e.guests, g)
	if e.life > 0 {
		time.AfterFunc(e.life, func() { g.end(e.code) })
	}
	return g, nil
}

func (e *engine) Runs() []runtime.Run {
	e.mu.Lock()
	defer e.mu.Unlock()
	var runs []runtime.Run
	for _, g := range e.guests {
		if g.forgotten() == 0 {
			runs = append(runs, g.run())
		}
	}
	return runs
}

func (e *engine) Stats(context.Context) map[string]runtime.Stats {
	all := map[string]runtime.Stats{}
	for _, r := range e.Runs() {
		if !ended(r.Guest) {
			all[r.ID] = r.Guest.Stats()
		}
	}
	return all
}

// host adds a guest that an earlier agent started.
func (e *engine) host(id string, of runtime.Origin) *guest {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := &guest{spec: runtime.Spec{ID: id, Of: of}, at: time.Now(), done: make(chan struct{}), onForget: e.onForget}
	e.guests = append(e.guests, g)
	return g
}

func (e *engine) all() []*guest {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*guest(nil), e.guests...)
}

func (e *engine) ran() []*guest {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]*guest(nil), e.commands...)
}

func (e *engine) started() []time.Time {
	var at []time.Time
	for _, g := range e.all() {
		at = append(at, g.at)
	}
	return at
}

// images is a fake store that has every image. The first pulls fail, as many as failures says.
type images struct {
	mu       sync.Mutex
	failures int
}

func (i *images) Lookup(_ context.Context, image string, _ registry.Keys) (registry.Module, bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return registry.Module{Image: image, ImageID: image + "@sha256:0"}, i.failures == 0, nil
}

func (i *images) PullToRun(_ context.Context, image string, _ registry.Keys) (registry.Pulled, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.failures > 0 {
		i.failures--
		return registry.Pulled{}, errors.New("registry away")
	}
	return registry.Pulled{Module: registry.Module{Image: image}}, nil
}

func (i *images) LookupFiles(ctx context.Context, image string, keys registry.Keys) (registry.Module, bool, error) {
	return i.Lookup(ctx, image, keys)
}

func (i *images) PullFiles(ctx context.Context, image string, keys registry.Keys) (registry.Pulled, error) {
	return i.PullToRun(ctx, image, keys)
}

// shell is one pod loop and everything that it needs, in virtual time.
type shell struct {
	t        *testing.T
	client   *fake.Clientset
	engine   *engine
	settings Settings
	loop     *podLoop
	ended    chan struct{}
	patches  atomic.Int32
	away     atomic.Bool // the API server accepts no status
}

func newShell(t *testing.T, ctx context.Context, pod *corev1.Pod, e *engine, i *images) *shell {
	return startShell(t, ctx, pod, e, i, false)
}

func startShell(t *testing.T, ctx context.Context, pod *corev1.Pod, e *engine, i *images, away bool) *shell {
	s := prepareShell(t, pod, e, i, away)
	s.launch(ctx)
	return s
}

// prepareShell makes a shell and does not launch it.
func prepareShell(t *testing.T, pod *corev1.Pod, e *engine, i *images, away bool) *shell {
	s := &shell{t: t, client: fake.NewClientset(pod), engine: e}
	s.away.Store(away)
	s.client.PrependReactor("patch", "pods", func(clienttesting.Action) (bool, kruntime.Object, error) {
		s.patches.Add(1)
		return s.away.Load(), nil, errors.New("API server away")
	})
	haveServices(s.client)
	s.settings = Settings{
		NodeName: "node", Address: testpod.NodeAddress, DataDir: t.TempDir(), Client: s.client, Images: i, Engine: e,
		Events: &record.FakeRecorder{}, Log: strictLog(), ContainerLogMaxSize: 10 << 20, ContainerLogMaxFiles: 5,
	}
	return s
}

// launch runs an agent's loop for the pod, with the pod's object from the API server and the
// engine's runs.
func (s *shell) launch(ctx context.Context) {
	s.t.Helper()
	pod, there := s.object()
	if !there {
		s.t.Fatal("there is no pod")
	}
	manager := New(s.settings)
	close(manager.synced)
	state, adopted := takeUp(pod, dirsOf(manager.DataDir, pod), s.engine.Runs(), time.Now())
	loop, ended := newPodLoop(manager, state, adopted), make(chan struct{})
	s.loop, s.ended = loop, ended
	go func() {
		defer close(ended)
		ctx, cancel := context.WithCancel(ctx)
		var services sync.WaitGroup
		services.Go(func() { _ = manager.services.Run(ctx) })
		loop.run(ctx)
		cancel()
		services.Wait()
	}()
}

// object is the pod's object in the API server.
func (s *shell) object() (*corev1.Pod, bool) {
	s.t.Helper()
	pod, err := s.client.CoreV1().Pods("ns").Get(context.Background(), "p", metav1.GetOptions{})
	return pod, err == nil
}

// haveServices lets a fake API server list Services.
func haveServices(client *fake.Clientset, services ...corev1.Service) {
	client.PrependReactor("list", "services", func(clienttesting.Action) (bool, kruntime.Object, error) {
		return true, &corev1.ServiceList{ListMeta: metav1.ListMeta{ResourceVersion: "10"}, Items: services}, nil
	})
	client.PrependWatchReactor("services", func(clienttesting.Action) (bool, watch.Interface, error) {
		return true, watch.NewRaceFreeFake(), nil
	})
}

// untouched is the state of a pod that no agent has touched.
func untouched(pod *corev1.Pod, now time.Time) *life.Pod {
	state, _ := life.Restore(pod, life.Remains{}, now)
	return state
}

// strictLog drops all lines. It panics where an agent would log that one of its own values is not
// handled.
func strictLog() *zap.Logger { return zap.NewNop().WithOptions(zap.Development()) }

// dirsOf are a pod's folders below dataDir.
func dirsOf(dataDir string, pod *corev1.Pod) podfiles.Pod {
	return podfiles.Layout{Data: dataDir, Logs: filepath.Join(dataDir, "logs")}.Of(pod)
}
