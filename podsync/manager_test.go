package podsync

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// home is a node with a Manager. Its API server lists the given pods and sends the test's events to
// watches.
type home struct {
	t           *testing.T
	client      *fake.Clientset
	engine      *engine
	events      *record.FakeRecorder
	dataDir     string
	pods        []corev1.Pod
	allocatable corev1.ResourceList
	alter       func(*Settings) // changes the settings of the next Manager; may be nil
	classes     []nodev1.RuntimeClass
	classesAway atomic.Bool
	classWatch  atomic.Pointer[watch.RaceFreeFakeWatcher] // the newest watch of classes
}

func newHome(t *testing.T, pods ...*corev1.Pod) *home {
	h := &home{t: t, client: fake.NewClientset(), engine: &engine{}, events: record.NewFakeRecorder(1000), dataDir: t.TempDir()}
	for _, pod := range pods {
		h.pods = append(h.pods, *pod)
		if err := h.client.Tracker().Add(pod); err != nil {
			t.Fatal(err)
		}
	}
	version := metav1.ListMeta{ResourceVersion: "10"}
	h.client.PrependReactor("list", "pods", func(clienttesting.Action) (bool, kruntime.Object, error) {
		return true, &corev1.PodList{ListMeta: version, Items: h.pods}, nil
	})
	h.client.PrependReactor("list", "runtimeclasses", func(clienttesting.Action) (bool, kruntime.Object, error) {
		if h.classesAway.Load() {
			return true, nil, errors.New("away")
		}
		return true, &nodev1.RuntimeClassList{ListMeta: version, Items: h.classes}, nil
	})
	haveServices(h.client)
	h.client.PrependWatchReactor("pods", func(clienttesting.Action) (bool, watch.Interface, error) {
		return true, watch.NewRaceFreeFake(), nil
	})
	h.client.PrependWatchReactor("runtimeclasses", func(clienttesting.Action) (bool, watch.Interface, error) {
		w := watch.NewRaceFreeFake()
		h.classWatch.Store(w)
		return true, w, nil
	})
	return h
}

// run runs a Manager until during returns.
func (h *home) run(during func(m *Manager)) {
	h.t.Helper()
	settings := Settings{
		NodeName: "node", Address: testpod.NodeAddress, DataDir: h.dataDir, Client: h.client, Images: &images{}, Engine: h.engine,
		Events: h.events, Log: strictLog(), Allocatable: h.allocatable,
	}
	if h.alter != nil {
		h.alter(&settings)
	}
	m := New(settings)
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	defer cancel()
	go func() { done <- m.Run(ctx) }()
	synctest.Wait()
	during(m)
	cancel()
	if err := <-done; err != nil {
		h.t.Error(err)
	}
}

func (h *home) sandboxEvents() []string {
	var found []string
	for {
		select {
		case e := <-h.events.Events:
			if strings.Contains(e, "FailedCreatePodSandBox") {
				found = append(found, e)
			}
		default:
			return found
		}
	}
}

func (h *home) waits() {
	h.t.Helper()
	pod, err := h.client.CoreV1().Pods("ns").Get(context.Background(), "p", metav1.GetOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	c := pod.Status.ContainerStatuses[0]
	if pod.Status.Phase != corev1.PodPending || c.State.Waiting == nil || c.State.Waiting.Reason != life.ReasonContainerCreating || len(h.engine.all()) > 0 {
		h.t.Errorf("phase %s, %+v, %d runs", pod.Status.Phase, c.State, len(h.engine.all()))
	}
}

func classed(class string) *corev1.Pod {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	pod.Spec.RuntimeClassName = &class
	return pod
}

func runtimeClass(name, handler string) *nodev1.RuntimeClass {
	return &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: "20"}, Handler: handler}
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestOrphanRuns: if a pod was deleted while no agent ran, its runs end before its folders are
// removed. Runs of an existing pod go on.
func TestOrphanRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{*testpod.IsRunning("here", 0)}}
		h := newHome(t, pod)
		here := h.engine.host("here", runtime.Origin{Pod: "u1", Container: "a"})
		gone := h.engine.host("gone", runtime.Origin{Pod: "u2", Container: "a"})
		gone.dying = 5 * time.Second
		over := h.engine.host("over", runtime.Origin{Pod: "u2", Container: "b"})
		over.end(0)
		folder := filepath.Join(h.dataDir, "pods", "u2")
		gone.onForget = func(*guest) {
			if !ended(gone) || !testfiles.Exists(folder) {
				t.Errorf("forgotten: ended %v, folder there %v", ended(gone), testfiles.Exists(folder))
			}
		}
		testfiles.Write(t, filepath.Join(folder, "x"), "")
		h.run(func(m *Manager) {
			pass(4 * time.Second)
			if m.Ready() != nil || !testfiles.Exists(folder) {
				t.Errorf("while an orphan dies: ready %v, its folder is there: %v", m.Ready(), testfiles.Exists(folder))
			}
			pass(2 * time.Second)
			if testfiles.Exists(folder) || gone.forgotten() != 1 || over.forgotten() != 1 {
				t.Errorf("folder there: %v, forgotten %d and %d times", testfiles.Exists(folder), gone.forgotten(), over.forgotten())
			}
			if ended(here) || here.forgotten() > 0 || len(h.engine.all()) != 3 {
				t.Error("the pod that is there was touched")
			}
		})
		if ended(here) {
			t.Error("the agent's end ended a guest")
		}
	})
}

func TestRuntimeClass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, classed("apart"))
		h.run(func(*Manager) {
			pass(20 * time.Minute)
			h.waits()
			events := h.sandboxEvents()
			if len(events) < 3 || len(events) > 30 {
				t.Errorf("%d events in 20 minutes", len(events))
			}
			if want := `Warning FailedCreatePodSandBox Failed to create pod sandbox: runtimeclass.node.k8s.io "apart" not found`; events[0] != want {
				t.Errorf("event %q, want %q", events[0], want)
			}
			h.classWatch.Load().Add(runtimeClass("apart", HandlerIsolated))
			synctest.Wait() // no time passes
			if guests := h.engine.all(); len(guests) != 1 || !guests[0].spec.Isolated {
				t.Fatalf("with the class: %d runs", len(guests))
			}
		})
		h.run(func(*Manager) { // the list does not have the class, but the pod goes on
			guests := h.engine.all()
			guests[0].end(1)
			pass(time.Minute)
			if guests = h.engine.all(); len(guests) != 2 || !guests[1].spec.Isolated || len(h.sandboxEvents()) > 0 {
				t.Errorf("after the class was deleted: %d runs, %v", len(guests), h.sandboxEvents())
			}
		})
	})
}

func TestHandlers(t *testing.T) {
	for name, tt := range map[string]struct {
		handler  string
		runs     bool
		isolated bool
		event    string
	}{
		"shared":   {HandlerShared, true, false, ""},
		"isolated": {HandlerIsolated, true, true, ""},
		"another":  {"runc", false, false, `Warning FailedCreatePodSandBox Failed to create pod sandbox: failed to get sandbox runtime: no runtime for "runc" is configured`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHome(t, classed("c"))
				h.classes = []nodev1.RuntimeClass{*runtimeClass("c", tt.handler)}
				h.run(func(*Manager) {
					pass(time.Second)
					guests, events := h.engine.all(), append(h.sandboxEvents(), "")
					if len(guests) > 0 != tt.runs || tt.runs && guests[0].spec.Isolated != tt.isolated || events[0] != tt.event {
						t.Errorf("%d runs, event %q", len(guests), events[0])
					}
				})
			})
		})
	}
}

// TestRuntimeClassesAway: while the classes cannot be listed, only pods that name a class wait.
// Such a pod can be deleted.
func TestRuntimeClassesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain, empty := testpod.New(corev1.RestartPolicyAlways, "a"), ""
		plain.Name, plain.UID, plain.Spec.RuntimeClassName = "plain", "u2", &empty
		h := newHome(t, classed("c"), plain)
		h.classesAway.Store(true)
		h.run(func(m *Manager) {
			pass(5 * time.Second)
			if guests := h.engine.all(); len(guests) != 1 || guests[0].spec.Of.Pod != "u2" {
				t.Fatalf("%d runs", len(guests))
			}
			if events := h.sandboxEvents(); len(events) > 0 {
				t.Errorf("too soon: %v", events)
			}
			pass(10 * time.Second)
			if events := h.sandboxEvents(); len(events) != 1 || !strings.Contains(events[0], "failed to lookup RuntimeClass c") {
				t.Errorf("events %v", events)
			}
			w := m.loops.get("u1")
			w.mailbox.put(testpod.Deleted(w.view.Load().pod, 30))
			pass(time.Second)
			if m.loops.get("u1") != nil {
				t.Error("the pod waits for RuntimeClasses to be deleted")
			}
		})
	})
}

func TestHandlerIsKeptWhole(t *testing.T) {
	d := dirsOf(t.TempDir(), testpod.New(corev1.RestartPolicyAlways, "a"))
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	if handler, err := d.Handler(); handler != "" || err != nil {
		t.Errorf("before any: %q %v", handler, err)
	}
	if err := d.KeepHandler(HandlerIsolated); err != nil {
		t.Fatal(err)
	}
	if handler, err := d.Handler(); handler != HandlerIsolated || err != nil {
		t.Errorf("%q %v", handler, err)
	}
	if info, err := os.Stat(d.HandlerFile()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}
