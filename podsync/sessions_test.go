package podsync

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
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
	if got := fmt.Sprint(v.ports()); !v.alive() || got != "map[80:10.0.0.1:80 81:10.0.0.1:81]" {
		t.Errorf("ports %v, alive %v", got, v.alive())
	}
	pod.Spec.HostNetwork, pod.Spec.Containers[0].Ports[2].HostIP = true, "127.0.0.1"
	if got := fmt.Sprint(v.ports()); got != "map[80:10.0.0.1:80 81:127.0.0.1:81]" {
		t.Errorf("in the host's network: ports %v", got)
	}
	v.runs["runs"] = containerRuns{attempt: 2, done: closedChannel}
	if got := v.ports(); v.alive() || len(got) > 0 {
		t.Errorf("of a pod that has ended: ports %v, alive %v", got, v.alive())
	}
}
