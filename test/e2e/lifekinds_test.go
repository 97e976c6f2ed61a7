package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// kind is a kind of pod, and the state that it must reach in every case.
type kind struct {
	furnish func(*life, *corev1.Pod)
	check   func(*corev1.Pod) error
	goesOn  bool // it runs until it is deleted
}

// kinds are the kinds of pods, by the value of their label.
func kinds() map[string]kind {
	goesOn := func(furnish func(*life, *corev1.Pod)) kind { return kind{furnish, steady, true} }
	finite := func(policy corev1.RestartPolicy, check func(*corev1.Pod) error, commands ...string) kind {
		return kind{func(_ *life, p *corev1.Pod) {
			p.Spec.RestartPolicy, p.Spec.Containers[0].Args = policy, commands
		}, check, false}
	}
	always := corev1.ContainerRestartPolicyAlways
	return map[string]kind{
		"plain": goesOn(func(_ *life, p *corev1.Pod) { main(p, "sleep") }),
		"isolated": goesOn(func(_ *life, p *corev1.Pod) {
			main(p, "sleep")
			p.Spec.RuntimeClassName = ptr("wasmtime-isolated")
		}),
		"config": goesOn(func(_ *life, p *corev1.Pod) {
			main(p, "sleep")
			mount(p, "settings", "/settings", configMapSource("settings"))
		}),
		"probed": goesOn(func(_ *life, p *corev1.Pod) {
			main(p, "sleep")
			p.Spec.Containers[0].ReadinessProbe = execProbe("kitchen", "echo", "ready")
			p.Spec.Containers[0].LivenessProbe = execProbe("kitchen", "echo", "alive")
		}),
		"hooked": goesOn(func(_ *life, p *corev1.Pod) {
			main(p, "sleep")
			p.Spec.TerminationGracePeriodSeconds = ptr(int64(5))
			p.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{
				PostStart: &corev1.LifecycleHandler{Exec: execHandler("kitchen", "write", "/tmp/up", "yes")},
				PreStop:   &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 1}},
			}
		}),
		"sidecar": goesOn(func(l *life, p *corev1.Pod) {
			main(p, "sleep")
			p.Spec.InitContainers = []corev1.Container{
				{Name: "side", Image: l.kitchen, Args: []string{"sleep"}, RestartPolicy: &always},
				{Name: "init", Image: l.kitchen, Args: []string{"echo", "init"}},
			}
		}),
		"handles": goesOn(func(l *life, p *corev1.Pod) {
			main(p, "sleep")
			web := l.handler("web", l.web).Spec.Containers[0]
			web.Name = "web"
			p.Spec.Containers = append(p.Spec.Containers, web)
		}),
		"crash":   finite(corev1.RestartPolicyAlways, crashed, "sleep 100ms", "exit 1"),
		"done":    finite(corev1.RestartPolicyNever, over, "sleep 300ms"),
		"failed":  finite(corev1.RestartPolicyNever, over, "exit 3"),
		"retried": finite(corev1.RestartPolicyOnFailure, succeeded, "sleep 300ms"),
		"served": {func(l *life, p *corev1.Pod) {
			main(p, "sleep 300ms")
			p.Spec.RestartPolicy = corev1.RestartPolicyNever
			p.Spec.InitContainers = []corev1.Container{{Name: "side", Image: l.kitchen, Args: []string{"sleep"}, RestartPolicy: &always}}
		}, over, false},
		"deadline": {func(_ *life, p *corev1.Pod) {
			main(p, "sleep")
			p.Spec.ActiveDeadlineSeconds = ptr(int64(2))
		}, late, false},
	}
}

func main(p *corev1.Pod, commands ...string) { p.Spec.Containers[0].Args = commands }

func steady(p *corev1.Pod) error {
	if p.Status.Phase != corev1.PodRunning {
		return errors.New("does not run")
	}
	return ready(true)(p)
}

func over(p *corev1.Pod) error {
	if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
		return errors.New("has not ended")
	}
	return nil
}

func succeeded(p *corev1.Pod) error {
	if p.Status.Phase != corev1.PodSucceeded {
		return errors.New("has not succeeded")
	}
	return nil
}

func late(p *corev1.Pod) error {
	if p.Status.Phase != corev1.PodFailed || p.Status.Reason != "DeadlineExceeded" {
		return errors.New("has not exceeded its deadline")
	}
	return nil
}

func crashed(p *corev1.Pod) error {
	if c := p.Status.ContainerStatuses; p.Status.Phase != corev1.PodRunning || len(c) != 1 || c[0].RestartCount == 0 {
		return errors.New("does not crash again and again")
	}
	return nil
}

// follow watches the pods. The result returns the errors seen so far.
func (l *life) follow() (wrong func() []string) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	events, err := l.client().CoreV1().Pods(l.ns).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		cancel()
		l.t.Fatal(err)
	}
	var mu sync.Mutex
	var found []string
	var watching sync.WaitGroup
	watching.Go(func() {
		last := map[types.UID]*corev1.Pod{}
		for event := range events.ResultChan() {
			pod, ok := event.Object.(*corev1.Pod)
			if !ok || event.Type == watch.Deleted {
				continue
			}
			if was := last[pod.UID]; was != nil {
				mu.Lock()
				found = append(found, impossible(was, pod)...)
				mu.Unlock()
			}
			last[pod.UID] = pod
		}
	})
	l.t.Cleanup(func() {
		cancel()
		watching.Wait()
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return found
	}
}

// impossible lists the changes between two states of a pod that must never happen.
func impossible(was, is *corev1.Pod) []string {
	var wrong []string
	say := func(format string, args ...any) {
		wrong = append(wrong, fmt.Sprintf("pod %s (%s): ", is.Name, is.Labels["kind"])+fmt.Sprintf(format, args...))
	}
	if (was.Status.Phase == corev1.PodSucceeded || was.Status.Phase == corev1.PodFailed) && is.Status.Phase != was.Status.Phase {
		say("phase %s became %s", was.Status.Phase, is.Status.Phase)
	}
	before := map[string]corev1.ContainerStatus{}
	for _, c := range append(was.Status.InitContainerStatuses, was.Status.ContainerStatuses...) {
		before[c.Name] = c
	}
	for _, c := range append(is.Status.InitContainerStatuses, is.Status.ContainerStatuses...) {
		old, there := before[c.Name]
		switch {
		case !there:
		case c.RestartCount < old.RestartCount:
			say("%s: %d restarts became %d", c.Name, old.RestartCount, c.RestartCount)
		case old.State.Terminated != nil && c.State.Running != nil && c.RestartCount == old.RestartCount:
			say("%s runs after its end, without a restart", c.Name)
		case old.State.Running != nil && c.State.Running != nil && c.ContainerID != old.ContainerID && c.RestartCount == old.RestartCount:
			say("%s is another run, without a restart", c.Name)
		case old.State.Terminated != nil && c.State.Running != nil && is.Spec.RestartPolicy == corev1.RestartPolicyNever && c.Name == "main":
			say("%s runs again", c.Name)
		}
	}
	return wrong
}
