package podsync

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestSessionsAreBounded: the number of sessions of a container is bounded, and so is that of the
// node. When a session ends, another one may begin.
func TestSessionsAreBounded(t *testing.T) {
	var s sessions
	var ends []func()
	fill := func(container string) error {
		for {
			end, err := s.begin(sessionOf{"pod", container})
			if err != nil {
				return err
			}
			ends = append(ends, end)
		}
	}
	for i := 0; len(ends) < sessionsPerNode; i++ {
		name := fmt.Sprint("c", i)
		if err := fill(name); !strings.Contains(err.Error(), fmt.Sprintf("%q has 32 commands", name)) && len(ends) < sessionsPerNode {
			t.Fatalf("with %d: %v", len(ends), err)
		}
	}
	if err := fill("last"); !strings.HasPrefix(err.Error(), "the node has 256 commands") || len(ends) != sessionsPerNode {
		t.Errorf("with %d: %v", len(ends), err)
	}
	for _, end := range ends {
		end()
	}
	ends = nil
	if err := fill("c0"); len(ends) != sessionsPerContainer {
		t.Errorf("when all have ended there is room for %d: %v", len(ends), err)
	}
	if len(s.of) != 1 {
		t.Errorf("places are kept: %v", s.of)
	}
}

// TestPortsOfAPod: the ports are the TCP ports in the spec of the containers that run.
func TestPortsOfAPod(t *testing.T) {
	port := func(n int32, protocol corev1.Protocol) corev1.ContainerPort {
		return corev1.ContainerPort{ContainerPort: n, Protocol: protocol}
	}
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "done", Ports: []corev1.ContainerPort{port(1, corev1.ProtocolTCP)}}},
		Containers: []corev1.Container{
			{Name: "runs", Ports: []corev1.ContainerPort{port(80, corev1.ProtocolTCP), port(53, corev1.ProtocolUDP), port(81, "")}},
			{Name: "waits", Ports: []corev1.ContainerPort{port(82, corev1.ProtocolTCP)}},
		},
	}}
	v := &view{pod: pod, runs: map[string]containerRuns{
		"done":  {attempt: 0, done: closedChannel},
		"runs":  {attempt: 2, done: make(chan struct{})},
		"waits": {attempt: -1, done: closedChannel},
	}}
	pod.Status.PodIP = "10.0.0.1"
	if got := fmt.Sprint(v.ports(noSpec)); !v.alive() || got != "map[80:10.0.0.1:80 81:10.0.0.1:81]" {
		t.Errorf("ports %v, alive %v", got, v.alive())
	}
	pod.Spec.HostNetwork, pod.Spec.Containers[0].Ports[2].HostIP = true, "127.0.0.1"
	if got := fmt.Sprint(v.ports(noSpec)); got != "map[80:10.0.0.1:80 81:127.0.0.1:81]" {
		t.Errorf("in the host's network: ports %v", got)
	}
	v.runs["runs"] = containerRuns{attempt: 2, done: closedChannel}
	if got := v.ports(noSpec); v.alive() || len(got) > 0 {
		t.Errorf("of a pod that has ended: ports %v, alive %v", got, v.alive())
	}
}

// noSpec is for containers that are no handlers.
func noSpec(string, string) (runtime.Spec, error) {
	return runtime.Spec{}, errors.New("this is no handler")
}

// handlerGuest is a run that is an HTTP handler, or not.
type handlerGuest struct {
	runtime.Guest
	stats *runtime.HTTPStats
}

func (g handlerGuest) Stats() runtime.Stats { return runtime.Stats{HTTP: g.stats} }

// TestPortsOfAHandler: the ports at which a handler is served count, even if the pod's spec does
// not name them. A program whose spec only says where it would be served listens at none of them.
func TestPortsOfAHandler(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web"}, {Name: "other"}}}}
	pod.Status.PodIP = "10.0.0.1"
	running := make(chan struct{})
	v := &view{pod: pod, runs: map[string]containerRuns{
		"web":   {done: running, id: "w1", process: handlerGuest{stats: &runtime.HTTPStats{}}},
		"other": {done: running, id: "o1", process: handlerGuest{}},
	}}
	specOf := func(container, id string) (runtime.Spec, error) {
		spec := runtime.Spec{HTTP: runtime.HTTP{Listen: []string{"10.0.0.1:80", "[fd00::1]:80"}, ListenTLS: []string{"10.0.0.1:8443"}}}
		if container != "web" {
			spec.HTTP.Listen = []string{"10.0.0.1:22"}
		} else if id != "w1" {
			t.Errorf("the spec of run %q is asked for", id)
		}
		return spec, nil
	}
	if got := fmt.Sprint(v.ports(specOf)); got != "map[80:10.0.0.1:80 8443:10.0.0.1:8443]" {
		t.Errorf("ports %v", got)
	}
	if got := v.ports(noSpec); len(got) != 0 {
		t.Errorf("without a note of the run: ports %v", got)
	}
}
