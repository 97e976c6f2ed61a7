// Package e2e runs the agent as users do: the real binary on a real control plane, with images from
// a real registry, through kubectl and the API.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// parallel is how many tests run at the same time. Most of the time they wait.
const parallel = "12"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err)
	}
	code := testcluster.Main(m)
	testnode.RemoveBinary()
	os.Exit(code)
}

// web sends requests to pods.
var web = &http.Client{Timeout: testnode.Patience}

// suite has what a test of pods needs.
type suite struct {
	cluster *testcluster.Cluster
	node    *testnode.Node
	images  *testnode.Registry

	tiny, hello, kitchen string // image references
}

// newSuite makes a registry with the guests, and a node that is Ready. args are added to the
// agent's command line.
func newSuite(t *testing.T, kubeconfig string, args ...string) *suite {
	t.Helper()
	s := newStoppedSuite(t, kubeconfig, args...)
	s.node.Join(t)
	return s
}

// newStoppedSuite is like newSuite, but the node has not started yet.
func newStoppedSuite(t *testing.T, kubeconfig string, args ...string) *suite {
	t.Helper()
	s := &suite{cluster: testcluster.Start(t), images: testnode.NewRegistry(t)}
	s.tiny = s.images.PushTiny(t)
	s.hello = s.images.PushGuest(t, "hello")
	s.kitchen = s.images.PushGuest(t, "kitchen")
	s.node = testnode.New(t, s.cluster, kubeconfig)
	s.node.Args = append(s.node.Args, args...)
	s.node.Compiled(t, "hello", "kitchen", "serve")
	return s
}

func (s *suite) client() kubernetes.Interface { return s.cluster.Client() }

// pod is a pod for the suite's node, as a user writes it. Its node selector and tolerations make
// the scheduler bind it to the node.
func (s *suite) pod(name, image string, args ...string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: s.podSpec(image, args...)}
}

func (s *suite) podSpec(image string, args ...string) corev1.PodSpec {
	grace := int64(1)
	return corev1.PodSpec{
		Containers: []corev1.Container{{
			Name: "main", Image: image, Args: args, ImagePullPolicy: corev1.PullIfNotPresent,
		}},
		NodeSelector: map[string]string{corev1.LabelHostname: s.node.Name},
		Tolerations: []corev1.Toleration{
			{Key: "kubernetes.io/arch", Operator: corev1.TolerationOpEqual, Value: "wasm32-wasi", Effect: corev1.TaintEffectNoSchedule},
			{Key: "kubernetes.io/arch", Operator: corev1.TolerationOpEqual, Value: "wasm32-wasi", Effect: corev1.TaintEffectNoExecute},
		},
		TerminationGracePeriodSeconds: &grace,
	}
}

func (s *suite) create(t *testing.T, namespace string, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	pod, err := s.client().CoreV1().Pods(namespace).Create(context.Background(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("creating pod: %v", err)
	}
	return pod
}

func (s *suite) get(namespace, name string) (*corev1.Pod, error) {
	return s.client().CoreV1().Pods(namespace).Get(context.Background(), name, metav1.GetOptions{})
}

// await polls the pod until check returns nil.
func (s *suite) await(t *testing.T, namespace, name string, check func(*corev1.Pod) error) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	testnode.Eventually(t, func() error {
		var err error
		if pod, err = s.get(namespace, name); err != nil {
			return err
		}
		if err := check(pod); err != nil {
			status, _ := json.Marshal(pod.Status)
			return fmt.Errorf("pod %s: %w; status %s", name, err, status)
		}
		return nil
	})
	return pod
}

func (s *suite) awaitPhase(t *testing.T, namespace, name string, phase corev1.PodPhase) *corev1.Pod {
	t.Helper()
	return s.await(t, namespace, name, func(p *corev1.Pod) error {
		if p.Status.Phase != phase {
			return fmt.Errorf("phase %s, want %s", p.Status.Phase, phase)
		}
		return nil
	})
}

// awaitGone waits until the API server does not have the pod with this UID any more.
func (s *suite) awaitGone(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	testnode.Eventually(t, func() error {
		now, err := s.get(pod.Namespace, pod.Name)
		if apierrors.IsNotFound(err) || err == nil && now.UID != pod.UID {
			return nil
		}
		return errors.Join(err, fmt.Errorf("pod %s is still there", pod.Name))
	})
}

func (s *suite) delete(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if err := s.client().CoreV1().Pods(pod.Namespace).Delete(context.Background(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatalf("deleting pod: %v", err)
	}
}

// awaitEvents waits until the pod has these events, each in the form "Reason message".
func (s *suite) awaitEvents(t *testing.T, pod *corev1.Pod, want ...string) {
	t.Helper()
	testnode.Eventually(t, func() error {
		list, err := s.client().CoreV1().Events(pod.Namespace).List(context.Background(), metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("involvedObject.uid", string(pod.UID)).String(),
		})
		if err != nil {
			return err
		}
		var got []string
		for _, e := range list.Items {
			got = append(got, e.Reason+" "+e.Message)
		}
		for _, w := range want {
			if !containsPrefix(got, w) {
				return fmt.Errorf("no event %q among:\n%s", w, strings.Join(got, "\n"))
			}
		}
		return nil
	})
}

func containsPrefix(all []string, prefix string) bool {
	for _, s := range all {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// kubectlTimeout is longer than any kubectl of these tests should take, even with a gigabyte of
// data on a busy machine.
const kubectlTimeout = 5 * time.Minute

// kubectl is a kubectl that the test itself starts and may end, such as `logs -f`.
func (s *suite) kubectl(t *testing.T, args ...string) (cmd *exec.Cmd, stdout *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), kubectlTimeout)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, filepath.Join(testcluster.Root(), "bin", "cluster"), append([]string{"kubectl"}, args...)...)
	cmd.Cancel = func() error {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("kubectl %s was still running after %v", strings.Join(args, " "), kubectlTimeout)
		}
		return cmd.Process.Kill()
	}
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.cluster.Kubeconfig())
	stdout = &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = stdout, stdout
	return cmd, stdout
}

// kubectlFails runs kubectl, which must fail. It returns kubectl's output.
func (s *suite) kubectlFails(t *testing.T, args ...string) string {
	t.Helper()
	cmd, out := s.kubectl(t, args...)
	if err := cmd.Run(); err == nil {
		t.Fatalf("kubectl %v succeeded: %s", args, out)
	}
	return out.String()
}
