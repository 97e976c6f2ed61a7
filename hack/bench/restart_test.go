package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

const restartPods = 500

func BenchmarkRestart(b *testing.B) {
	f := newField(b, "--max-pods", "600")
	seen := observe(b, f.watcher, f.namespace)
	var pods []*corev1.Pod
	for range restartPods {
		pods = append(pods, f.pod(f.tiny, true))
	}
	f.start(b, seen, pods...)
	f.calmDown(b)
	before := f.containers(b)
	apart := *f // witnesses do not count as pods of the node
	apart.namespace = f.node.Cluster.Namespace(b)
	var ready, told []time.Duration
	for b.Loop() {
		b.StopTimer()
		witness := apart.witness(b)
		f.node.Kill(b)
		apart.ended(b, witness)
		b.StartTimer()
		began := time.Now()
		f.node.Start(b)
		f.node.WaitReady(b)
		ready = append(ready, time.Since(began))
		testnode.Eventually(b, func() error {
			pod, err := f.watcher.CoreV1().Pods(apart.namespace).Get(context.Background(), witness.Name, metav1.GetOptions{})
			if err == nil && pod.Status.Phase != corev1.PodSucceeded {
				err = fmt.Errorf("the pod that ended is %s", pod.Status.Phase)
			}
			return err
		})
		told = append(told, time.Since(began))
	}
	b.StopTimer()
	for name, id := range f.containers(b) {
		if was, ok := before[name]; ok && was != id {
			b.Errorf("pod %s: container %s, was %s", name, id, was)
		}
	}
	report(b, "ready-p50-ms", quantile(ready, 0.5))
	report(b, "ready-max-ms", quantile(ready, 1))
	report(b, "told-p50-ms", quantile(told, 0.5))
	report(b, "told-max-ms", quantile(told, 1))
}

// containers are the IDs and start times of the containers, by pod.
func (f *field) containers(b *testing.B) map[string]string {
	b.Helper()
	list, err := f.watcher.CoreV1().Pods(f.namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		b.Fatal(err)
	}
	found := map[string]string{}
	for _, pod := range list.Items {
		if c := pod.Status.ContainerStatuses; len(c) == 1 && c[0].State.Running != nil {
			found[pod.Name] = fmt.Sprint(c[0].ContainerID, c[0].State.Running.StartedAt, c[0].RestartCount)
		}
	}
	if len(found) < restartPods {
		b.Errorf("%d of %d containers run", len(found), restartPods)
	}
	return found
}

// witness is a running pod that ends by itself within a second.
func (f *field) witness(b *testing.B) *corev1.Pod {
	b.Helper()
	pod := f.pod(f.kitchen, true)
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.Containers[0].Args = []string{"count", "100"}
	pod, err := f.client.CoreV1().Pods(f.namespace).Create(context.Background(), pod, metav1.CreateOptions{})
	if err != nil {
		b.Fatal(err)
	}
	f.logged(b, pod, " 0\n")
	return pod
}

// ended waits until a witness has printed its last line and has had time to end.
func (f *field) ended(b *testing.B, pod *corev1.Pod) {
	b.Helper()
	f.logged(b, pod, " 99\n")
}

func (f *field) logged(b *testing.B, pod *corev1.Pod, line string) {
	b.Helper()
	file := filepath.Join(f.node.DataDir, "logs", f.namespace+"_"+pod.Name+"_"+string(pod.UID), "main", "0.log")
	testnode.Eventually(b, func() error {
		text, err := os.ReadFile(file)
		if err == nil && !strings.Contains(string(text), line) {
			err = fmt.Errorf("%s lacks %q", file, line)
		}
		return err
	})
}
