package e2e

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

var (
	chaosTime = flag.Duration("chaos", 20*time.Second, "how long TestChaos goes on")
	chaosSeed = flag.Uint64("chaos-seed", 1, "what TestChaos does")
)

// chaos is a node whose agent and workers are killed again and again, while pods are made and
// deleted, and handlers are asked.
type chaos struct {
	*suite
	t        *testing.T
	ns       string
	rand     *rand.Rand
	next     int
	pods     []*corev1.Pod
	handlers []string // images
	visitors map[types.UID]*visitor
	visits   sync.WaitGroup

	answered, cutOff atomic.Int64 // requests to handlers
}

// TestChaos kills agents and workers at random. In every case, no line of a log is lost or doubled,
// no container runs twice at the same time, everything runs again in the end, and the node has no
// files of deleted pods. A handler that is Ready answers, and its clients do not notice that agents
// are killed; when its pod is gone, nothing listens at its address.
func TestChaos(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	s.class(t, "wasmtime-isolated")
	c := &chaos{suite: s, t: t, ns: s.cluster.Namespace(t), rand: rand.New(rand.NewPCG(*chaosSeed, 0)), visitors: map[types.UID]*visitor{}}
	for _, version := range []string{"0.2", "0.3"} {
		c.handlers = append(c.handlers, s.images.Push(t, "http-kitchen-"+version+":v1", component(t, "http-kitchen-"+version)))
	}
	t.Cleanup(c.visits.Wait)
	for range 6 {
		c.add()
	}
	done := map[string]int{}
	for deadline := time.Now().Add(*chaosTime); time.Now().Before(deadline); {
		what := []string{"agent", "agent", "agent", "worker", "add", "add", "delete", "delete", "follow"}[c.rand.IntN(9)]
		done[what]++
		switch what {
		case "agent":
			c.agent()
		case "worker":
			c.worker()
		case "add":
			c.add()
		case "delete":
			c.remove(c.rand.IntN(len(c.pods)))
		case "follow":
			c.follow()
		}
		for len(c.pods) < 3 {
			c.add()
		}
		for len(c.pods) > 12 {
			c.remove(0)
		}
	}
	t.Logf("%v, %d handlers, %d requests answered, %d cut off", done, len(c.visitors), c.answered.Load(), c.cutOff.Load())
	for _, pod := range c.pods {
		c.running(pod)
		if v := c.visitors[pod.UID]; v != nil {
			v.checkAccess()
		} else {
			c.checkLogs(pod)
		}
	}
	for len(c.pods) > 0 {
		pod := c.pods[0]
		c.remove(0)
		c.awaitGone(t, pod)
	}
	// Without grace, the API server deletes the pods at once. The agent must remove their files
	// before it is stopped.
	c.empty("pods", "logs")
	c.visits.Wait()
	c.node.Stop(t)
	c.noWorkers()
}

// add makes a pod. Every third pod has a worker of its own, and every second one is a handler.
func (c *chaos) add() {
	c.t.Helper()
	pod := c.pod(fmt.Sprintf("pod-%d", c.next), c.kitchen, "count")
	if c.next++; c.next%3 == 0 {
		class := "wasmtime-isolated"
		pod.Spec.RuntimeClassName = &class
	}
	zero := int64(0)
	pod.Spec.TerminationGracePeriodSeconds = &zero
	kind := c.next % 4
	if kind < 2 {
		c.handler(pod, c.handlers[kind])
	}
	pod = c.create(c.t, c.ns, pod)
	c.pods = append(c.pods, pod)
	if kind < 2 {
		c.visit(pod, c.rand.IntN(2) == 0)
	}
}

func (c *chaos) remove(i int) {
	c.t.Helper()
	if v := c.visitors[c.pods[i].UID]; v != nil {
		v.leave()
	}
	c.delete(c.t, c.pods[i])
	c.pods = append(c.pods[:i:i], c.pods[i+1:]...)
}

// agent kills the agent and starts it again.
func (c *chaos) agent() {
	c.t.Helper()
	c.node.Kill(c.t)
	if c.rand.IntN(2) == 0 && len(c.pods) > 3 {
		c.remove(0) // no agent sees the deletion
	}
	c.node.Start(c.t)
	if c.rand.IntN(3) > 0 {
		c.running(c.pods[c.rand.IntN(len(c.pods))])
	}
}

// worker kills a worker.
func (c *chaos) worker() {
	c.t.Helper()
	all := c.node.Workers(c.t)
	if len(all) == 0 {
		return
	}
	signal := []syscall.Signal{syscall.SIGKILL, syscall.SIGABRT, syscall.SIGTERM}[c.rand.IntN(3)]
	_ = syscall.Kill(all[c.rand.IntN(len(all))].PID, signal) // it may just have exited
}

// follow reads a log until the agent is killed.
func (c *chaos) follow() {
	c.t.Helper()
	pod := c.pods[c.rand.IntN(len(c.pods))]
	cmd, _ := c.suite.kubectl(c.t, "logs", "-f", "-n", c.ns, pod.Name)
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = cmd.Process.Kill() // in most cases it has exited with the agent
		_ = cmd.Wait()
	})
}

// running waits until the pod's guest runs. A handler answers then.
func (c *chaos) running(pod *corev1.Pod) {
	c.t.Helper()
	testnode.Eventually(c.t, func() error {
		now, err := c.get(c.ns, pod.Name)
		if err != nil {
			return err
		}
		if s := now.Status.ContainerStatuses; len(s) != 1 || s[0].State.Running == nil {
			return fmt.Errorf("pod %s does not run: %+v", pod.Name, s)
		}
		return nil
	})
	if v := c.visitors[pod.UID]; v != nil {
		v.answers()
	}
}

// checkLogs checks all logs of a running pod: each counts from 0, and only the last one grows.
func (c *chaos) checkLogs(pod *corev1.Pod) {
	c.t.Helper()
	before := c.counts(pod)
	testnode.Eventually(c.t, func() error {
		grown, last := 0, -1
		for attempt := range before {
			last = max(last, attempt)
		}
		for attempt, n := range c.counts(pod) {
			if attempt < last && n > before[attempt] {
				c.t.Fatalf("pod %s: attempt %d prints on while %d runs", pod.Name, attempt, last)
			}
			if attempt >= last {
				grown = n
			}
		}
		if grown < before[last]+50 {
			return fmt.Errorf("pod %s: attempt %d does not go on", pod.Name, last)
		}
		return nil
	})
}

// counts is the number of lines of each attempt of the pod.
func (c *chaos) counts(pod *corev1.Pod) map[int]int {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.node.DataDir, "logs", "*_"+string(pod.UID), "main", "*.log"))
	if err != nil || len(files) == 0 {
		c.t.Fatalf("pod %s has no logs: %v", pod.Name, err)
	}
	found := map[int]int{}
	for _, file := range files {
		attempt, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(file), ".log"))
		if err != nil {
			c.t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			continue // older logs may be removed
		}
		next := 0
		for line := range bytes.Lines(text) {
			if !bytes.HasSuffix(line, []byte("\n")) {
				break // the line is not complete yet
			}
			fields := bytes.Fields(line)
			if got := string(fields[len(fields)-1]); got != strconv.Itoa(next) {
				c.t.Fatalf("%s: %q where %d should be", file, line, next)
			}
			next++
		}
		found[attempt] = next
	}
	return found
}

// empty waits until these folders of the data directory are empty.
func (c *chaos) empty(folders ...string) {
	c.t.Helper()
	testnode.Eventually(c.t, func() error {
		for _, folder := range folders {
			left, err := os.ReadDir(filepath.Join(c.node.DataDir, folder))
			if err != nil {
				return err
			}
			if len(left) > 0 {
				return fmt.Errorf("%s/%s is left", folder, left[0].Name())
			}
		}
		return nil
	})
}

// noWorkers waits until all workers have exited. The next agent removes their folders.
func (c *chaos) noWorkers() {
	c.t.Helper()
	testnode.Eventually(c.t, func() error {
		if all := c.node.Workers(c.t); len(all) > 0 {
			return fmt.Errorf("workers %+v live", all)
		}
		return nil
	})
}
