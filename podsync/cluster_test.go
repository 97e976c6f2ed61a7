package podsync

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
)

func TestMain(m *testing.M) { os.Exit(testcluster.Main(m)) }

// clusterNode is a node's Manager with a real API server and a fake engine. It has only a node's
// rights at the API server. The engine stays when the agent ends.
type clusterNode struct {
	t         *testing.T
	name      string
	namespace string
	admin     kubernetes.Interface
	settings  Settings
	engine    *engine
	events    *record.FakeRecorder
}

func newClusterNode(t *testing.T) *clusterNode {
	cluster := testcluster.Start(t)
	n := &clusterNode{t: t, admin: cluster.Client(), namespace: cluster.Namespace(t), engine: &engine{}, events: record.NewFakeRecorder(1000)}
	n.name = "node-" + n.namespace
	config := cluster.Config()
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:node:" + n.name, Groups: []string{"system:nodes", "system:authenticated"}}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	n.settings = Settings{
		NodeName: n.name, Address: testpod.NodeAddress, DataDir: t.TempDir(), Client: client, Images: &images{}, Engine: n.engine,
		Events: n.events, Log: strictLog(),
	}
	return n
}

// run runs an agent until stop is called.
func (n *clusterNode) run() (stop func()) {
	ctx, cancel := context.WithCancel(n.t.Context())
	done := make(chan error, 1)
	m := New(n.settings)
	go func() { done <- m.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			n.t.Error(err)
		}
	}
}

func (n *clusterNode) create(name, class string) *corev1.Pod {
	n.t.Helper()
	automount := false
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{
		NodeName: n.name, AutomountServiceAccountToken: &automount,
		Containers: []corev1.Container{{Name: "a", Image: "registry.test/a:v1"}},
	}}
	if class != "" {
		pod.Spec.RuntimeClassName = &class
	}
	pod, err := n.admin.CoreV1().Pods(n.namespace).Create(n.t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		n.t.Fatal(err)
	}
	return pod
}

// await polls until the pod is as the function wants.
func (n *clusterNode) await(what, name string, as func(*corev1.Pod) bool) *corev1.Pod {
	n.t.Helper()
	var found *corev1.Pod
	eventually.Succeeds(n.t, func() error {
		pod, err := n.admin.CoreV1().Pods(n.namespace).Get(n.t.Context(), name, metav1.GetOptions{})
		switch {
		case err != nil:
			return err
		case !as(pod):
			return fmt.Errorf("%s is not %s: status %+v", name, what, pod.Status)
		}
		found = pod
		return nil
	})
	return found
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (n *clusterNode) guest(uid types.UID, attempt int32) *guest {
	n.t.Helper()
	for _, g := range n.engine.all() {
		if g.spec.Of.Pod == string(uid) && g.spec.Of.Attempt == attempt {
			return g
		}
	}
	n.t.Fatalf("pod %s has no attempt %d", uid, attempt)
	return nil
}

// TestAgentRestartOnCluster: a pod does not change when the agent restarts. The next agent reports
// exits of the time without an agent. If a pod was deleted by force in that time, nothing of it is
// left.
func TestAgentRestartOnCluster(t *testing.T) {
	n := newClusterNode(t)
	stop := n.run()
	for _, name := range []string{"stays", "ends", "goes"} {
		n.create(name, "")
	}
	stays, ends, goes := n.await("ready", "stays", ready), n.await("ready", "ends", ready), n.await("ready", "goes", ready)
	stop()

	n.guest(ends.UID, 0).end(9)
	now := int64(0)
	if err := n.admin.CoreV1().Pods(n.namespace).Delete(t.Context(), "goes", metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	stop = n.run()
	pod := n.await("restarted", "ends", func(pod *corev1.Pod) bool { return ready(pod) && pod.Status.ContainerStatuses[0].RestartCount == 1 })
	if last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil || last.ExitCode != 9 {
		t.Errorf("last state %+v", last)
	}
	gone := n.guest(goes.UID, 0)
	eventually.Succeeds(t, func() error {
		a, b := gone.forgotten(), n.guest(ends.UID, 0).forgotten()
		if a == 0 || b == 0 || testfiles.Exists(dirsOf(n.settings.DataDir, goes).Dir) {
			return fmt.Errorf("forgotten %d and %d times", a, b)
		}
		return nil
	})
	after := n.await("ready", "stays", ready)
	if !apiequality.Semantic.DeepEqual(stays.Status, after.Status) || after.ResourceVersion != stays.ResourceVersion {
		t.Errorf("the status was\n%+v\nand is\n%+v", stays.Status, after.Status)
	}
	stop()
	if len(n.engine.all()) != 4 || ended(n.guest(stays.UID, 0)) || n.guest(stays.UID, 0).forgotten() > 0 {
		t.Errorf("%d runs", len(n.engine.all()))
	}
}

// TestRuntimeClassOnCluster: a node may watch the RuntimeClasses, and each handler has its effect.
func TestRuntimeClassOnCluster(t *testing.T) {
	n := newClusterNode(t)
	class := func(handler string) string {
		name := fmt.Sprintf("%s-%s", n.namespace, handler)
		made := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Handler: handler}
		if _, err := n.admin.NodeV1().RuntimeClasses().Create(t.Context(), made, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = n.admin.NodeV1().RuntimeClasses().Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{})
		})
		return name
	}
	shared, other, isolated := class(HandlerShared), class("runc"), class(HandlerIsolated)
	stop := n.run()
	defer stop()
	n.create("shared", shared)
	n.create("other", other)
	n.create("isolated", isolated)
	if pod := n.await("ready", "shared", ready); n.guest(pod.UID, 0).spec.Isolated {
		t.Error("handler wasmtime isolates")
	}
	if pod := n.await("ready", "isolated", ready); !n.guest(pod.UID, 0).spec.Isolated {
		t.Error("handler wasmtime-isolated does not isolate")
	}
	n.await("waiting", "other", func(pod *corev1.Pod) bool {
		c := pod.Status.ContainerStatuses
		return pod.Status.Phase == corev1.PodPending && len(c) == 1 && c[0].State.Waiting != nil && c[0].State.Waiting.Reason == life.ReasonContainerCreating
	})
	for {
		select {
		case e := <-n.events.Events:
			if strings.Contains(e, `no runtime for "runc" is configured`) {
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatal("no event says that the handler is unknown")
		}
	}
}
