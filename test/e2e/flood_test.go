package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/flood"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// filesOfFlooded is the limit of open files of the flooded node. It is less than the number of the
// flood's connections.
const filesOfFlooded = 1024

// TestFlood: strangers flood the node's port, also from the API server's address. In spite of that,
// pods start, their statuses are written, and kubectl reaches the node. If there are no free
// descriptors, everything continues as soon as there are some again.
//
// docs/security.md: "One TLS port"; "There is no read-only port".
// docs/security.md: "so that pods can be set up and statuses be written, whatever strangers do".
func TestFlood(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "", "--max-pods=10")
	ns := s.cluster.Namespace(t)
	logs := func(pod string) error {
		cmd, out := s.kubectl(t, "logs", "-n", ns, pod)
		if err := cmd.Run(); err != nil || !strings.Contains(out.String(), "here") {
			return fmt.Errorf("kubectl logs: %w, %s", err, out)
		}
		return nil
	}
	start := func(t *testing.T, name string) *corev1.Pod {
		return s.create(t, ns, s.pod(name, s.kitchen, "each", "echo here", "sleep"))
	}
	s.node.Stop(t)
	s.node.Binary = limited(t, filesOfFlooded)
	s.node.Start(t)
	s.node.WaitReady(t)
	at := fmt.Sprintf("%s:%d", s.node.IP, testnode.Port)

	t.Run("OnePort", func(t *testing.T) {
		if ports := listening(t, s.node.Process().PID()); len(ports) != 1 || ports[0] != testnode.Port {
			t.Errorf("the agent listens at ports %v", ports)
		}
	})

	t.Run("Strangers", func(t *testing.T) {
		// The tests' API server connects from 127.0.0.1.
		sources := []string{"127.0.0.1", "127.0.0.1", "127.0.7.1", "127.0.7.2", "127.0.7.3", "127.0.7.4"}
		silent, stop := flood.Start(t, at, flood.Silent, 2*filesOfFlooded/len(sources), sources...)
		defer stop()
		_, stopShaken := flood.Start(t, at, flood.Shaken, 4, sources...)
		defer stopShaken()
		testnode.Eventually(t, func() error {
			if silent.Made() < 2*filesOfFlooded {
				return fmt.Errorf("the flood has made %d connections", silent.Made())
			}
			return nil
		})
		start(t, "flooded")
		s.awaitPhase(t, ns, "flooded", corev1.PodRunning)
		testnode.Eventually(t, func() error { return logs("flooded") })
		for range 5 {
			if err := logs("flooded"); err != nil {
				t.Error(err)
			}
		}
		if n := s.node.Process().Files(t); n > filesOfFlooded*3/4 {
			t.Errorf("the agent has %d files open", n)
		}
		t.Logf("the flood has made %d connections; the agent has %d files open", silent.Made(), s.node.Process().Files(t))
	})

	t.Run("NoDescriptors", func(t *testing.T) {
		pid := s.node.Process().PID()
		var before unix.Rlimit
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: filesOfFlooded}, &before); err != nil {
			t.Fatal(err)
		}
		start(t, "late")
		s.await(t, ns, "late", func(p *corev1.Pod) error { // the agent has an open connection for the status
			if p.Status.StartTime == nil {
				return errors.New("the node has not looked at it")
			}
			return nil
		})
		if pod, err := s.get(ns, "late"); err != nil || pod.Status.Phase != corev1.PodPending {
			t.Errorf("without descriptors: %v, %v", pod.Status.Phase, err)
		}
		if err := logs("flooded"); err == nil {
			t.Error("a log was opened without descriptors")
		}
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil); err != nil {
			t.Fatal(err)
		}
		s.awaitPhase(t, ns, "late", corev1.PodRunning)
		testnode.Eventually(t, func() error { return errors.Join(logs("late"), logs("flooded")) })
		node, err := s.client().CoreV1().Nodes().Get(context.Background(), s.node.Name, metav1.GetOptions{})
		if err != nil || node.Status.Conditions == nil {
			t.Errorf("the node: %v", err)
		}
		if n := s.node.Process().PID(); n != pid {
			t.Errorf("the agent has ended: it is %d, and was %d", n, pid)
		}
	})
}

// limited is an agent with a limit of open files.
func limited(t *testing.T, files int) string {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\nulimit -Sn %d && ulimit -Hn %d && exec %s \"$@\"\n", files, files, testnode.Binary(t))
	path := filepath.Join(t.TempDir(), "krustlet-wasi")
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return path
}

// listening are the TCP ports on which a process listens.
func listening(t *testing.T, pid int) (ports []int) {
	t.Helper()
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	own := map[string]bool{}
	for _, fd := range open {
		if to, err := os.Readlink(fd); err == nil { // it may be closed by now
			own[to] = true
		}
	}
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			const local, state, inode, listens = 1, 3, 9, "0A"
			fields := strings.Fields(line)
			if len(fields) <= inode || fields[state] != listens || !own["socket:["+fields[inode]+"]"] {
				continue
			}
			_, port, _ := strings.Cut(fields[local], ":")
			number, err := strconv.ParseInt(port, 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			ports = append(ports, int(number))
		}
	}
	return ports
}
