package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

var (
	lifeTime = flag.Duration("life", 20*time.Second, "how long TestPodLife goes on")
	lifeSeed = flag.Uint64("life-seed", 1, "what TestPodLife does")
)

// life is a node whose pods go through everything that a cluster and a machine can do to them.
type life struct {
	*suite
	t     *testing.T
	ns    string
	rand  *rand.Rand
	proxy *testcluster.Proxy
	cut   bool
	runs  string // a folder with a file for each pod; every run of the main container adds a byte to it
	other string // another image with the same guest
	web   string // an image that is an HTTP handler
	next  int
	value int // the present value in the ConfigMap
	pods  []*corev1.Pod
	jobs  []string
	did   map[string]int
}

// TestPodLife makes, changes and deletes pods of all kinds at random. It cuts off the API server
// and kills agents and workers. During that time no final phase changes and no restart count falls.
// In the end each pod is as its spec says, no ended pod has run again, and the node has exactly the
// pods that the cluster has.
func TestPodLife(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	seen := l.follow()
	for range 8 {
		l.add()
	}
	for deadline := time.Now().Add(*lifeTime); time.Now().Before(deadline); {
		l.act()
	}
	t.Logf("seed %d: %v", *lifeSeed, l.did)
	l.restore()
	l.change()
	l.agent() // a new agent updates volumes when it starts
	l.node.WaitReady(t)
	began := time.Now()
	l.settled()
	t.Logf("settled after %v", time.Since(began))
	l.agree()
	t.Logf("agreed after %v", time.Since(began))
	for _, wrong := range seen() {
		t.Error(wrong)
	}
	l.end()
}

func newLife(t *testing.T) *life {
	cluster := testcluster.Start(t)
	proxy := cluster.Proxy(t)
	l := &life{
		t: t, suite: newSuite(t, through(t, cluster, proxy)), ns: cluster.Namespace(t), proxy: proxy,
		rand: rand.New(rand.NewPCG(*lifeSeed, 1)), runs: t.TempDir(), did: map[string]int{},
	}
	if err := os.Chmod(l.runs, 0o777); err != nil { //nolint:gosec // for workers that give up their user
		t.Fatal(err)
	}
	module, err := os.ReadFile(guests.Build(t, "kitchen"))
	if err != nil {
		t.Fatal(err)
	}
	l.other = l.images.Push(t, "kitchen-again:v1", module)
	l.web = l.images.Push(t, "web:v1", component(t, "http-kitchen-0.3"))
	l.class(t, "wasmtime-isolated")
	l.createConfigMap(t, l.ns, "settings", map[string]string{"value": "0"})
	return l
}

// act does one random thing.
func (l *life) act() {
	l.t.Helper()
	what := []string{
		"add", "add", "add", "add", "job", "delete", "delete", "delete", "label", "image", "change",
		"cut", "agent", "agent", "stop", "worker", "await", "await", "await",
	}[l.rand.IntN(19)]
	l.did[what]++
	began := time.Now()
	defer func() {
		if took := time.Since(began); took > 3*time.Second {
			l.t.Logf("%s took %v", what, took)
		}
	}()
	switch what {
	case "add":
		l.add()
	case "job":
		l.job()
	case "delete":
		l.remove(l.rand.IntN(len(l.pods)))
	case "label":
		l.patch(l.pick(), fmt.Sprintf(`{"metadata":{"labels":{"turn":"%d"},"annotations":{"turn":"%d"}}}`, l.next, l.next))
	case "image":
		l.image()
	case "change":
		l.change()
	case "cut":
		l.toggle()
	case "agent":
		l.agent()
	case "stop":
		l.stop()
	case "worker":
		l.worker()
	case "await":
		l.restore()
		pod := l.pick()
		l.await(l.t, l.ns, pod.Name, kinds()[pod.Labels["kind"]].check)
	}
	for len(l.pods) < 4 {
		l.add()
	}
	for len(l.pods) > 16 {
		l.remove(0)
	}
}

func (l *life) pick() *corev1.Pod { return l.pods[l.rand.IntN(len(l.pods))] }

// add makes a pod of a random kind.
func (l *life) add() {
	l.t.Helper()
	all := kinds()
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	l.make(names[l.rand.IntN(len(names))], fmt.Sprintf("pod-%d", l.next))
}

func (l *life) make(kind, name string) {
	l.t.Helper()
	l.next++
	pod := l.pod(name, l.kitchen)
	pod.Labels = map[string]string{"kind": kind}
	kinds()[kind].furnish(l, pod)
	l.recorded(&pod.Spec)
	l.pods = append(l.pods, l.create(l.t, l.ns, pod))
}

// recorded makes each run of the main container add a byte to the pod's file.
func (l *life) recorded(spec *corev1.PodSpec) {
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "runs", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: l.runs}}})
	c := &spec.Containers[0]
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "runs", MountPath: "/runs"})
	c.Env = append(c.Env, corev1.EnvVar{Name: "UID", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.uid"}}})
	c.Args = append([]string{"each", "append /runs/$(UID) x"}, c.Args...)
}

// ran is the number of runs of a pod's main container.
func (l *life) ran(uid types.UID) int {
	info, err := os.Stat(filepath.Join(l.runs, string(uid)))
	if err != nil {
		return 0
	}
	return int(info.Size())
}

func (l *life) job() {
	l.t.Helper()
	completions, limit := int32(2), int32(100)
	spec := l.podSpec(l.kitchen, "echo done")
	spec.RestartPolicy = []corev1.RestartPolicy{corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure}[l.rand.IntN(2)]
	l.recorded(&spec)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("job-%d", l.next)}, Spec: batchv1.JobSpec{
		Completions: &completions, BackoffLimit: &limit,
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"kind": "job"}}, Spec: spec},
	}}
	l.next++
	if _, err := l.client().BatchV1().Jobs(l.ns).Create(context.Background(), job, metav1.CreateOptions{}); err != nil {
		l.t.Fatal(err)
	}
	if l.jobs = append(l.jobs, job.Name); len(l.jobs) > 4 {
		background := metav1.DeletePropagationBackground
		if err := l.client().BatchV1().Jobs(l.ns).Delete(context.Background(), l.jobs[0], metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
			l.t.Fatal(err)
		}
		l.jobs = l.jobs[1:]
	}
}

// remove deletes a pod: with its own grace period, with another one, or by force. After a forced
// deletion it sometimes makes a pod with the same name.
func (l *life) remove(i int) {
	l.t.Helper()
	pod := l.pods[i]
	l.pods = slices.Delete(l.pods, i, i+1)
	options := metav1.DeleteOptions{}
	how := l.rand.IntN(4)
	if how > 0 {
		grace := int64(how-1) * 2
		options.GracePeriodSeconds = &grace
	}
	err := l.client().CoreV1().Pods(l.ns).Delete(context.Background(), pod.Name, options)
	if err != nil && !apierrors.IsNotFound(err) {
		l.t.Fatal(err)
	}
	if how == 1 && l.rand.IntN(2) == 0 { // by force: the name is free at once
		if _, err := l.get(l.ns, pod.Name); apierrors.IsNotFound(err) {
			l.did["again"]++
			l.make(pod.Labels["kind"], pod.Name)
		}
	}
}

func (l *life) patch(pod *corev1.Pod, patch string) {
	l.t.Helper()
	_, err := l.client().CoreV1().Pods(l.ns).Patch(context.Background(), pod.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
}

// image gives a pod that runs until it is deleted the other image.
func (l *life) image() {
	l.t.Helper()
	pod := l.pick()
	if !kinds()[pod.Labels["kind"]].goesOn {
		return
	}
	image := l.other
	if now, err := l.get(l.ns, pod.Name); err == nil && now.Spec.Containers[0].Image == image {
		image = l.kitchen
	}
	l.patch(pod, fmt.Sprintf(`{"spec":{"containers":[{"name":"main","image":%q}]}}`, image))
}

func (l *life) change() {
	l.t.Helper()
	l.value++
	patch := fmt.Sprintf(`{"data":{"value":"%d"}}`, l.value)
	if _, err := l.client().CoreV1().ConfigMaps(l.ns).Patch(context.Background(), "settings", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		l.t.Fatal(err)
	}
}

// toggle disconnects the node from the API server, or connects it again.
func (l *life) toggle() {
	if l.cut {
		l.proxy.Restore()
	} else {
		l.proxy.Cut()
	}
	l.cut = !l.cut
}

func (l *life) restore() {
	if l.cut {
		l.toggle()
	}
}

// agent kills the agent and starts it again. In between it sometimes deletes a pod and makes
// another.
func (l *life) agent() {
	l.t.Helper()
	l.node.Kill(l.t)
	if len(l.pods) > 4 && l.rand.IntN(2) == 0 {
		l.remove(l.rand.IntN(len(l.pods)))
		l.add()
	}
	l.node.Start(l.t)
}

// stop ends the agent like systemd, and starts it again.
func (l *life) stop() {
	l.t.Helper()
	testnode.Eventually(l.t, func() error { // it handles signals by now
		if l.node.Process().Stderr() == "" {
			return errors.New("the agent has logged nothing")
		}
		return nil
	})
	l.node.Stop(l.t)
	l.node.Start(l.t)
}

func (l *life) worker() {
	l.t.Helper()
	if all := l.node.Workers(l.t); len(all) > 0 {
		_ = syscall.Kill(all[l.rand.IntN(len(all))].PID, syscall.SIGKILL) // it may just have exited
	}
}

// settled waits until each pod is as its kind demands, and each job is complete.
func (l *life) settled() {
	l.t.Helper()
	for _, pod := range l.pods {
		kind := kinds()[pod.Labels["kind"]]
		now := l.await(l.t, l.ns, pod.Name, kind.check)
		if now.UID != pod.UID {
			l.t.Errorf("pod %s is another", pod.Name)
		}
		if pod.Labels["kind"] == "config" {
			l.awaitValue(now)
		}
		if pod.Labels["kind"] == "handles" {
			if code, text := get(l.t, "http://"+at(now)+"/hello"); code != http.StatusOK || text != "hello\n" {
				l.t.Errorf("pod %s answers %d %q", pod.Name, code, text)
			}
		}
	}
	for _, name := range l.jobs {
		testnode.Eventually(l.t, func() error {
			job, err := l.client().BatchV1().Jobs(l.ns).Get(context.Background(), name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			for _, c := range job.Status.Conditions {
				if c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue {
					return nil
				}
			}
			return fmt.Errorf("job %s is not complete: %+v", name, job.Status)
		})
	}
}

// awaitValue waits until a pod's volume has the ConfigMap's value.
func (l *life) awaitValue(pod *corev1.Pod) {
	l.t.Helper()
	path := filepath.Join(l.node.DataDir, "pods", string(pod.UID), "volumes", "settings", "value")
	testnode.Eventually(l.t, func() error {
		text, err := os.ReadFile(path)
		if err == nil && string(text) != fmt.Sprint(l.value) {
			err = fmt.Errorf("pod %s has %q of the ConfigMap, want %d", pod.Name, text, l.value)
		}
		return err
	})
}

// agree checks that the node has folders of the cluster's pods and of no others. It also checks
// that no container had more runs than its status says.
func (l *life) agree() {
	l.t.Helper()
	testnode.Eventually(l.t, func() error {
		list, err := l.client().CoreV1().Pods(l.ns).List(context.Background(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		want := map[string]bool{}
		for _, pod := range list.Items {
			want[string(pod.UID)] = true
			if err := l.told(&pod); err != nil {
				return err
			}
		}
		for _, folder := range []string{"pods", "logs"} {
			entries, err := os.ReadDir(filepath.Join(l.node.DataDir, folder))
			if err != nil {
				return err
			}
			for _, entry := range entries {
				if uid := entry.Name()[strings.LastIndexByte(entry.Name(), '_')+1:]; !want[uid] {
					return fmt.Errorf("%s/%s is of no pod", folder, entry.Name())
				}
			}
			if len(entries) < len(want) {
				return fmt.Errorf("%d pods, and %d folders in %s", len(want), len(entries), folder)
			}
		}
		return nil
	})
}

// told returns an error if a pod's status does not account for every run of its main container.
func (l *life) told(pod *corev1.Pod) error {
	if len(pod.Status.ContainerStatuses) == 0 {
		return fmt.Errorf("pod %s has no status", pod.Name)
	}
	c, ran := pod.Status.ContainerStatuses[0], l.ran(pod.UID)
	switch {
	case ran > int(c.RestartCount)+1:
		return fmt.Errorf("pod %s ran %d times, and tells of %d restarts", pod.Name, ran, c.RestartCount)
	case pod.Spec.RestartPolicy == corev1.RestartPolicyNever && ran > 1:
		return fmt.Errorf("pod %s is never to run again, and ran %d times", pod.Name, ran)
	case pod.Status.Phase == corev1.PodSucceeded && ran == 0:
		return fmt.Errorf("pod %s succeeded and never ran", pod.Name)
	}
	return nil
}

// end deletes everything, and checks that no files are left.
func (l *life) end() {
	l.t.Helper()
	background := metav1.DeletePropagationBackground
	for _, name := range l.jobs {
		if err := l.client().BatchV1().Jobs(l.ns).Delete(context.Background(), name, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
			l.t.Fatal(err)
		}
	}
	for len(l.pods) > 0 {
		pod := l.pods[0]
		l.delete(l.t, pod)
		l.pods = l.pods[1:]
	}
	testnode.Eventually(l.t, func() error {
		list, err := l.client().CoreV1().Pods(l.ns).List(context.Background(), metav1.ListOptions{})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("pod %s is still there: %+v", list.Items[0].Name, list.Items[0].Status)
		}
		return err
	})
	left := &chaos{suite: l.suite, t: l.t}
	left.empty("pods", "logs")
	l.node.Stop(l.t)
	left.noWorkers()
	if mounts, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Contains(string(mounts), l.node.DataDir) {
		l.t.Errorf("something is mounted still, or not known: %v\n%s", err, mounts)
	}
}
