package podsync

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// podLoop runs one pod. Its goroutine owns the pod's state. Work that takes time runs in other
// goroutines, which carry out podActions and send their results to the loop.
type podLoop struct {
	*podActions
	mailbox  mailbox
	nudge    chan struct{} // holds a token when the pod's RuntimeClass has changed
	reclaim  chan life.Reclaimed
	results  chan any
	strays   []runtime.Guest
	stopping <-chan struct{} // closed when the loop ends

	// The goroutine of run owns the fields below.
	state     *life.Pod
	processes map[string]runtime.Guest   // by container, for as long as the guest runs
	images    map[string]containerImages // by container, as of its last pull
	ended     []untoldRun                // they are forgotten when the API server has their exits
	giveUp    context.CancelFunc         // cancels pulls and starts
	starts    context.Context            //nolint:containedctx // it belongs to the loop, and is made and ended in run
	// starting is the span that ends when the pod runs. It is nil if an earlier agent began the
	// pod.
	starting trace.Span
	keeping  bool // the volumes are being kept up to date
	// retaking is the task to take the ports of the host again for an adopted pod.
	retaking life.Task
	// volumesCleared: the pod has ended, and its volumes were removed or are being removed.
	volumesCleared bool
	report         report
	measures       measures
	spent          map[string]podfiles.Spent // by container
}

// view is a pod as other goroutines see it. It must not be changed.
type view struct {
	pod   *corev1.Pod // with its present status
	runs  map[string]containerRuns
	spent podfiles.Use // use by runs that have ended and are not in runs
}

// containerRuns are the runs of a container, as other goroutines see them.
type containerRuns struct {
	attempt int32           // of the last run; -1 before the first
	done    <-chan struct{} // closed when that run has ended
	id      string          // of the last run
	process runtime.Guest   // the run that goes on; nil if there is none
}

func newPodLoop(node *Manager, state *life.Pod, adopted adoption) *podLoop {
	pod := state.Object()
	w := &podLoop{
		podActions: newPodActions(node, pod, len(adopted.running) > 0),
		mailbox:    newMailbox(),
		nudge:      make(chan struct{}, 1),
		reclaim:    make(chan life.Reclaimed, 1),
		results:    make(chan any),
		strays:     adopted.strays,
		state:      state,
		processes:  adopted.running,
		images:     map[string]containerImages{},
		ended:      adopted.ended,
		report:     report{last: pod, news: time.Now().Add(creatingShown)},
	}
	w.restoreSpent()
	w.measures = newMeasures(node.Metrics, state, adopted, time.Now())
	w.requests = podspec.Requests(state.Given())
	w.admitted.Store(state.WasSetUp())
	w.show(state.Status(pod.Status, node.Address, state.StartedAt()))
	return w
}

// run works until the pod is removed or ctx ends. When ctx ends, it leaves guests and the object as
// they are.
func (w *podLoop) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer w.node.Probed.Forget(w.state.Object().Namespace, w.state.Object().Name, string(w.state.Object().UID))
	defer w.clean()
	defer w.tasks.Wait()
	defer cancel()
	if !w.measures.seen.IsZero() {
		ctx, w.starting = w.traceStart(ctx)
		defer w.starting.End()
	}
	w.stopping = ctx.Done()
	w.starts, w.giveUp = context.WithCancel(ctx)
	defer w.giveUp()
	w.takeOver()
	for cause := causeCreate; ; {
		began := time.Now()
		wake := w.settle(ctx)
		w.node.Metrics.WorkerDuration.WithLabelValues(cause).Observe(time.Since(began).Seconds())
		cause = causeSync
		if w.state.Stage() == life.Absent {
			return
		}
		timer := newTimer(wake)
		select {
		case <-ctx.Done():
			timer.Stop()
			w.flush()
			return
		case <-w.mailbox.full:
			cause = causeUpdate
			w.state.Apply(w.receive(), time.Now())
		case <-w.nudge:
			w.state.Apply(life.ClassChanged{}, time.Now())
		case why := <-w.reclaim:
			w.state.Apply(why, time.Now())
		case result := <-w.results:
			w.takeIn(result)
		case <-timer.C:
		}
		timer.Stop()
	}
}

// settle asks decide for actions until none is left for now, and reports the status. It returns
// when to ask again, or the zero time.
func (w *podLoop) settle(ctx context.Context) time.Time {
	for {
		now := time.Now()
		actions, wake := w.state.Decide(now)
		for _, action := range actions {
			w.perform(ctx, action)
		}
		w.closePorts()
		status := w.state.Status(w.report.last.Status, w.node.Address, now)
		w.show(status)
		retry, written := w.report.next(status, now)
		if w.measures.status(&status, written, now) {
			w.starting.End()
		}
		if w.state.Vanished() {
			retry, written = time.Time{}, true
		} else if w.report.due(now) {
			w.write(ctx, status)
		}
		if w.state.SetReported(written) {
			continue // the next actions may have waited for the report
		}
		w.forgetTold()
		w.clearVolumes(ctx)
		w.releaseAddresses()
		return earliest(earliest(wake, retry), w.retakePorts(now))
	}
}

// receive takes the newest object of the pod out of the mailbox.
func (w *podLoop) receive() life.Input {
	pod := w.mailbox.take()
	if pod == nil {
		return life.Vanished{}
	}
	w.report.see(pod)
	w.measures.watched(pod, time.Now())
	return life.Updated{Pod: pod}
}

// takeIn applies the result of an action. Some results have parts that the loop keeps and the state
// does not know.
func (w *podLoop) takeIn(result any) {
	now := time.Now()
	switch r := result.(type) {
	case reported:
		w.report.end(r, now)
		if r.err != nil && !w.report.missing {
			w.log.Warn("cannot report the pod's status, will try again", zap.Error(r.err))
		}
		return
	case started:
		w.state.Apply(r.Started, now)
		if r.process != nil {
			w.processes[r.Container] = r.process
			w.follow(r.Container, r.process)
		}
		return
	case obtained:
		w.measures.pullEnds(now)
		if r.Err == nil {
			w.images[r.Container] = r.images
		}
		result = r.Pulled
	case life.Prepared:
		if r.Err == nil && !w.keeping && kept(w.state.Object()) {
			w.keeping = true
			w.tasks.Go(func() { w.keepVolumes(w.starts) })
		}
	case runEnded:
		result = r.RunEnded
		run := w.state.LastRun(r.Container)
		w.ended = append(w.ended, untoldRun{life.EndedRun{ID: run.ID, Container: r.Container, Attempt: run.Attempt}, w.processes[r.Container]})
		w.spent[r.Container] = r.spent
		w.measures.ended(kindLabel(w.state.Object(), r.Container), r.Exit, run)
		delete(w.processes, r.Container)
	case life.Removed:
		if r.Err != nil {
			w.log.Warn("cannot remove the pod, will try again", zap.Error(r.Err))
		}
	}
	what, is := result.(life.Input)
	if !is {
		w.log.DPanic("an action has a result that nothing takes in", zap.String("type", fmt.Sprintf("%T", result)))
		return
	}
	w.state.Apply(what, now)
}

// runEnded is life.RunEnded, with what the container's runs have used. The state does not have
// that.
type runEnded struct {
	life.RunEnded
	spent podfiles.Spent
}

// follow waits for the end of a container's last run.
func (w *podLoop) follow(container string, process runtime.Guest) {
	run, containers, before := w.state.LastRun(container), len(w.state.LastRuns()), w.spent[container]
	w.tasks.Go(func() {
		select {
		case <-process.Done():
			exit := w.dirs.WithLastWords(run.Container, run.Attempt, containers, process.Exit())
			w.send(runEnded{life.RunEnded{Container: container, Exit: exit}, w.spend(before, container, run.Attempt, process)})
		case <-w.stopping:
		}
	})
}

// send gives a result to the loop, unless the loop ends.
func (w *podLoop) send(result any) {
	select {
	case w.results <- result:
	case <-w.stopping:
	}
}

// flush writes the status when the agent ends, if that was not written yet. Otherwise an exit that
// was not reported could be lost.
func (w *podLoop) flush() {
	w.tasks.Wait()
	status := w.state.Status(w.report.last.Status, w.node.Address, time.Now())
	if w.state.Vanished() || apiequality.Semantic.DeepEqual(status, w.report.last.Status) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	pod, err := w.node.writeStatus(ctx, w.report.last, status)
	if err != nil {
		w.log.Warn("the pod's last status could not be reported", zap.Error(err))
		return
	}
	w.report.see(pod)
	w.forgetTold()
}

func (w *podLoop) show(status corev1.PodStatus) {
	pod := *w.state.Given() // a shallow copy, because only the status differs
	pod.Status = status
	all := w.state.LastRuns()
	runs := make(map[string]containerRuns, len(all))
	for _, run := range all {
		r := containerRuns{attempt: run.Attempt, done: closedChannel, id: run.ID}
		if process := w.processes[run.Container.Name]; process != nil {
			r.done, r.process = process.Done(), process
		}
		runs[run.Container.Name] = r
	}
	w.view.Store(&view{pod: &pod, runs: runs, spent: w.allSpent()})
	if w.node.Cluster != nil {
		w.node.Cluster.SetPod(&pod)
	}
}

var closedChannel = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func newTimer(at time.Time) *time.Timer {
	if at.IsZero() {
		t := time.NewTimer(time.Hour)
		t.Stop()
		return t
	}
	return time.NewTimer(time.Until(at))
}

// earliest is the earlier one of two times. A zero time means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
