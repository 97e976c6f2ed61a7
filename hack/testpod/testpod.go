// Package testpod makes pods for tests that need no cluster.
package testpod

import (
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NodeAddress is the address of the node on which these pods are.
var NodeAddress = netip.MustParseAddr("127.0.0.9")

// Epoch is when the clock of a test begins that counts seconds.
var Epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// New is a pod with the containers named. Init containers are those whose names begin with "init".
func New(policy corev1.RestartPolicy, names ...string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u1", ResourceVersion: "1", Generation: 1},
		Spec:       corev1.PodSpec{RestartPolicy: policy},
	}
	for _, name := range names {
		c := corev1.Container{Name: name, Image: "registry.test/" + name + ":v1", ImagePullPolicy: corev1.PullIfNotPresent}
		if strings.HasPrefix(name, "init") {
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
		} else {
			pod.Spec.Containers = append(pod.Spec.Containers, c)
		}
	}
	return pod
}

// Deleted is a pod that was deleted at Epoch, with a grace period in seconds.
func Deleted(pod *corev1.Pod, grace int64) *corev1.Pod {
	pod = pod.DeepCopy()
	now := metav1.NewTime(Epoch)
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &now, &grace
	return pod
}
