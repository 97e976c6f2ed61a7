package podsync

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/podsync/admit"
	"github.com/krustlet-go/krustlet-wasi/podsync/environ"
	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// podActions carries out the actions that the state machine of one pod asks for. Its methods run in
// their own goroutines, many at a time, beside the pod loop.
type podActions struct {
	node    *Manager
	log     *zap.Logger
	dirs    podfiles.Pod
	volumes *volume.Volumes // made by prepare; the pod loop keeps them up to date
	adopted bool            // an earlier agent left runs of the pod
	tasks   sync.WaitGroup  // goroutines that may still send a result
	cleared chan struct{}   // closed when no stray run of the pod is left
	// clean closes cleaned when the pod has ended and its files are removed, or when the pod loop
	// ends.
	cleaned chan struct{}
	clean   func()
	view    atomic.Pointer[view] // the pod as other goroutines see it
	// requests are the resources that the pod has on the node, once it is admitted. podLoops.mu
	// guards it.
	requests corev1.ResourceList
	admitted atomic.Bool // the node has room for the pod
}

func newPodActions(node *Manager, pod *corev1.Pod, adopted bool) *podActions {
	a := &podActions{
		node:    node,
		log:     node.Log.With(zap.String("namespace", pod.Namespace), zap.String("pod", pod.Name), zap.String("uid", string(pod.UID))),
		dirs:    node.layout().Of(pod),
		adopted: adopted,
		cleared: make(chan struct{}),
		cleaned: make(chan struct{}),
	}
	a.clean = sync.OnceFunc(func() { close(a.cleaned) })
	a.volumes = node.newVolumes(a.dirs, a.log)
	return a
}

// obtained is life.Pulled with the modules. The loop keeps them, because the state does not have
// them.
type obtained struct {
	life.Pulled
	images containerImages
}

// containerImages are the images that a container needs.
type containerImages struct {
	module registry.Module
	shown  map[string]registry.Module // by the name of the volume that shows the image
}

// root is the folder of the image's root filesystem, or empty.
func (i containerImages) root() string {
	if i.module.Root == nil {
		return ""
	}
	return i.module.Root.Dir
}

// shownIDs are the IDs of the images that volumes show.
func (i containerImages) shownIDs() []string {
	var ids []string
	for _, image := range i.shown {
		ids = append(ids, image.ImageID)
	}
	return ids
}

// started is life.Started with the guest. The loop keeps the guest, because the state does not have
// it.
type started struct {
	life.Started
	process runtime.Guest
}

// perform carries out an action that the state machine has decided on. It does not block.
func (w *podLoop) perform(ctx context.Context, action life.Action) {
	pod, starts, isolated, at := w.state.Given(), w.starts, w.state.Isolated(), w.state.Addresses()
	switch a := action.(type) {
	case life.Prepare:
		w.tasks.Go(func() { w.send(w.setUp(starts, pod, at)) })
	case life.Pull:
		w.measures.pullBegins(time.Now())
		w.tasks.Go(func() { w.send(w.pull(starts, pod, a.Container)) })
	case life.Start:
		images := w.images[a.Container.Name]
		w.tasks.Go(func() { w.send(w.start(starts, pod, isolated, podspec.ReachOf(pod, at, w.node.Address), a, images)) })
	case life.Stop:
		if process := w.processes[a.Container]; process != nil {
			process.Stop(a.Grace)
		}
	case life.Ask:
		if process := w.processes[a.Container.Name]; process != nil {
			w.tasks.Go(func() { w.send(commands{w.podActions}.ask(ctx, pod, process, a)) })
		}
	case life.Hook:
		if process := w.processes[a.Container.Name]; process != nil {
			while := ctx
			if a.Kind == life.PostStart {
				while = starts // the end of a pod does not wait for such an action
			}
			w.tasks.Go(func() { w.send(commands{w.podActions}.hook(while, pod, process, a)) })
		}
	case life.Weigh:
		w.tasks.Go(func() { w.send(w.weigh(a)) })
	case life.Resize:
		if process := w.processes[a.Container.Name]; process != nil {
			w.tasks.Go(func() { w.send(w.resize(ctx, pod, process, a)) })
		}
	case life.GiveUp:
		w.giveUp()
	case life.Remove:
		w.tasks.Go(func() { w.send(life.Removed{Err: w.remove(ctx, pod, a.Object)}) })
	case life.Announce:
		w.record(pod, a.Container, a.Event)
	default:
		w.log.DPanic("nothing carries out an action", zap.String("type", fmt.Sprintf("%T", action)))
	}
}

// setUp is prepare, with a span and metrics.
func (w *podActions) setUp(ctx context.Context, pod *corev1.Pod, before podspec.Addresses) life.Prepared {
	ctx, span := w.trace(ctx, "pod.setup", nil)
	result := w.prepare(ctx, pod, before)
	endTrace(span, result.Err)
	switch {
	case result.Err == nil && result.Refused == nil:
		w.node.Metrics.StartedPods.Inc()
	case ctx.Err() == nil:
		w.node.Metrics.StartedPodErrors.Inc()
	}
	return result
}

// prepare makes what the containers of a pod share. If the node cannot take the pod, prepare
// refuses the pod before anything starts.
func (w *podActions) prepare(ctx context.Context, pod *corev1.Pod, before podspec.Addresses) life.Prepared {
	fail := func(err error, as func(error) events.Event) life.Prepared {
		if ctx.Err() == nil {
			w.log.Warn("the pod cannot be set up", zap.Error(err))
			w.record(pod, nil, as(err))
		}
		return life.Prepared{Err: err}
	}
	no, err := w.node.admit(ctx, w, pod)
	if err != nil {
		return fail(err, events.SandboxFailed)
	}
	if no != nil {
		w.log.Warn("the node cannot take the pod", zap.String("reason", no.Reason), zap.String("why", no.Message))
		w.record(pod, nil, events.Warning(no.Reason, no.Message))
		return life.Prepared{Refused: no}
	}
	if err := unsupported(pod); err != nil {
		return fail(err, events.MountFailed)
	}
	if err := w.dirs.Make(); err != nil {
		return fail(err, events.MountFailed)
	}
	if err := w.setUpVolumes(ctx, pod); err != nil {
		return life.Prepared{Err: err}
	}
	at, err := w.giveAddresses(ctx, pod, before)
	if err != nil {
		return fail(err, events.SandboxFailed)
	}
	warnings, err := w.dirs.MakeOwnFiles(pod, w.node.hostFiles(), podspec.ReachOf(pod, at, w.node.Address).Pod)
	if err != nil {
		return fail(err, events.SandboxFailed)
	}
	for _, warning := range warnings {
		w.record(pod, nil, warning)
	}
	if err := w.awaitStrays(ctx); err != nil { // a container has at most one run at a time
		return fail(err, events.SandboxFailed)
	}
	if err := admit.UserNamespace(pod); err != nil {
		return fail(err, events.SandboxFailed)
	}
	isolated, err := w.isolated(ctx, pod)
	if err != nil {
		return fail(err, events.SandboxFailed)
	}
	if !w.adopted { // for an adopted pod, retakePorts does it
		if err := w.openPorts(pod, podspec.ReachOf(pod, at, w.node.Address)); err != nil {
			return fail(err, events.SandboxFailed)
		}
	}
	return life.Prepared{Isolated: isolated, Addresses: at}
}

// These are reasons why a container waits if an image is not available.
const (
	reasonErrImagePull      = "ErrImagePull"
	reasonErrImageNeverPull = "ErrImageNeverPull"
	reasonInvalidImageName  = "InvalidImageName"
)

// pull looks up the images that a container needs: those of the volumes that it mounts, and its
// own. It asks registries for them if the pull policies say so.
func (w *podActions) pull(ctx context.Context, pod *corev1.Pod, c *corev1.Container) obtained {
	keys := w.keys(ctx, pod)
	got := containerImages{shown: map[string]registry.Module{}}
	for _, need := range neededImages(pod, c) {
		module, reason, err := w.obtain(ctx, pod, c, need, keys)
		switch {
		case err != nil && ctx.Err() != nil:
			return obtained{Pulled: life.Pulled{Container: c.Name, Err: fmt.Errorf("pulling: %w", context.Canceled)}}
		case err != nil:
			w.record(pod, c, events.Failed(reason))
			w.node.Metrics.ContainerErrors.WithLabelValues(kindLabel(pod, c.Name), reason).Inc()
			failed := life.Pulled{Container: c.Name, Reason: reason, Err: err}
			if need.volume != "" {
				failed.Lacks = need.image
			}
			return obtained{Pulled: failed}
		case need.volume != "":
			got.shown[need.volume] = module
		default:
			got.module = module
		}
	}
	return obtained{life.Pulled{Container: c.Name, ImageID: got.module.ImageID, Others: len(got.shown) > 0}, got}
}

// obtain is pull for one image. With an error it returns the reason why the container waits.
func (w *podActions) obtain(ctx context.Context, pod *corev1.Pod, c *corev1.Container, need neededImage, keys registry.Keys) (registry.Module, string, error) {
	image, lookup, pull := need.image, w.node.Images.Lookup, w.node.Images.PullToRun
	on := c
	if need.volume != "" { // events about it belong to the pod, not to the container
		lookup, pull, on = w.node.Images.LookupFiles, w.node.Images.PullFiles, nil
	}
	fail := func(reason string, err error, e events.Event) (registry.Module, string, error) {
		if ctx.Err() == nil {
			w.record(pod, on, e)
		}
		return registry.Module{}, reason, err
	}
	failed := func(err error) (registry.Module, string, error) {
		if errors.Is(err, registry.ErrInvalidReference) {
			return fail(reasonInvalidImageName, err, events.InvalidImage(image, err))
		}
		return fail(reasonErrImagePull, err, events.PullFailed(image, err))
	}
	// With PullAlways the image on disk is not looked up. It may be older than the registry's, and
	// then it would be unpacked without need.
	if need.policy != corev1.PullAlways {
		module, present, err := lookup(ctx, image, keys)
		switch {
		case err != nil:
			return failed(err)
		case present:
			w.record(pod, on, events.Present(image))
			return module, "", nil
		case need.policy == corev1.PullNever:
			return fail(reasonErrImageNeverPull, errors.New(events.NeverPullMessage(image)), events.NeverPull(image))
		}
	}
	w.record(pod, on, events.Pulling(image))
	began := time.Now()
	pulling, span := w.trace(ctx, "image.pull", c)
	got, err := pull(pulling, image, keys)
	endTrace(span, err)
	w.node.Metrics.Operation("pull_image", began, err)
	if err != nil {
		return failed(err)
	}
	w.node.Metrics.Pulled(got.Size, got.Took)
	w.record(pod, on, events.Pulled(image, got.Took, time.Since(began), got.Size))
	return got.Module, "", nil
}

// These are reasons why a container waits if its run cannot be started. The spec may change, and
// objects that it names, too. So the start is tried again, whatever the restart policy is.
const (
	reasonCreateContainerConfigError = "CreateContainerConfigError"
	reasonCreateContainerError       = "CreateContainerError"
)

// start makes the spec of a run and asks the engine to start it.
func (w *podActions) start(ctx context.Context, pod *corev1.Pod, isolated bool, at podspec.Reach, a life.Start, images containerImages) started {
	kind := kindLabel(pod, a.Container.Name)
	w.node.Metrics.StartedContainers.WithLabelValues(kind).Inc()
	ctx, span := w.trace(ctx, "container.start", a.Container)
	result := w.startRun(ctx, pod, isolated, at, a, images)
	endTrace(span, result.Err)
	if result.Err != nil && ctx.Err() == nil {
		w.node.Metrics.ContainerErrors.WithLabelValues(kind, cmp.Or(result.Reason, life.ReasonRunContainerError)).Inc()
	}
	return result
}

func (w *podActions) startRun(ctx context.Context, pod *corev1.Pod, isolated bool, at podspec.Reach, a life.Start, images containerImages) started {
	id := newID()
	fail := func(reason string, err error) started {
		if ctx.Err() != nil {
			err = fmt.Errorf("starting: %w", context.Canceled)
		} else {
			w.log.Warn("the container cannot be started", zap.String("container", a.Container.Name), zap.Error(err))
			w.record(pod, a.Container, events.Failed(err.Error()))
		}
		return started{Started: life.Started{Container: a.Container.Name, ID: id, Reason: reason, Err: err}}
	}
	spec, err := w.spec(ctx, pod, a.Container, images.module, at)
	if err != nil {
		return fail(reasonCreateContainerConfigError, err)
	}
	attempt := a.Attempt
	spec.ID, spec.Isolated = id, isolated
	spec.Of = runtime.Origin{Pod: string(pod.UID), Container: a.Container.Name, Attempt: attempt, ImageID: images.module.ImageID}
	spec.LogMaxSize, spec.LogMaxFiles = w.node.ContainerLogMaxSize, w.node.ContainerLogMaxFiles
	spec.Listen, spec.ListenFree = podspec.Sockets(pod, a.Container, at), podspec.Offers(pod, exposedPorts(images.module), at)
	spec.OutputRate = w.node.ContainerOutputRate
	spec.Log, spec.Mounts, err = w.dirs.MakeRun(ctx, a.Container, attempt, images.root())
	if err != nil {
		return fail(reasonCreateContainerError, err)
	}
	if err := w.dirs.LinkLog(pod, a.Container.Name, id, spec.Log); err != nil {
		w.log.Warn("log shippers will not find the container's log", zap.String("container", a.Container.Name), zap.Error(err))
	}
	// An ephemeral container may mount a volume that was not made, because no other container
	// mounts it.
	if podspec.KindOf(pod, a.Container.Name) == podspec.Ephemeral {
		if err := w.setUpVolumes(ctx, pod); err != nil {
			return fail(reasonCreateContainerError, err)
		}
	}
	mounts, err := w.mounts(pod, a.Container, spec.Env, images.shown)
	w.countShown(a.Container, images.shown, err)
	switch {
	case errors.Is(err, volume.ErrImageMount):
		return fail(reasonCreateContainerError, err)
	case err != nil:
		return fail(reasonCreateContainerConfigError, err)
	}
	spec.Mounts = append(spec.Mounts, mounts...)
	if err := w.dirs.KeepShown(a.Container.Name, images.shownIDs()); err != nil {
		return fail(reasonCreateContainerError, err)
	}
	if err := w.dirs.KeepSpec(a.Container.Name, spec); err != nil {
		return fail(reasonCreateContainerError, err)
	}
	w.record(pod, a.Container, events.Created())
	began := time.Now()
	process, err := w.node.Engine.Start(ctx, spec, runtime.Streams{})
	w.node.Metrics.Operation("start_container", began, err)
	switch {
	case temporary(err):
		return fail(reasonCreateContainerError, err)
	case err != nil:
		return fail("", err)
	}
	w.record(pod, a.Container, events.Started())
	w.log.Info("container started", zap.String("container", a.Container.Name), zap.String("image", a.Container.Image), zap.Int32("attempt", attempt))
	return started{life.Started{Container: a.Container.Name, ID: id, At: time.Now()}, process}
}

// spec reads the objects that a container's spec names, and makes the engine's spec.
func (w *podActions) spec(ctx context.Context, pod *corev1.Pod, c *corev1.Container, module registry.Module, at podspec.Reach) (runtime.Spec, error) {
	if err := admit.Container(pod, c, imageUser(module)); err != nil {
		return runtime.Spec{}, err
	}
	services, err := w.node.services.linked(ctx, pod)
	if err != nil {
		return runtime.Spec{}, err
	}
	env, err := environ.Of(ctx, pod, c, environ.Sources{
		Objects: w.node.objects, Files: w.volumes, Services: services, Reach: at, Allocatable: w.node.Allocatable,
	})
	if err != nil {
		return runtime.Spec{}, err
	}
	spec, err := containerSpec(pod, c, module, env)
	if err != nil {
		return runtime.Spec{}, err
	}
	if err := w.addHTTP(ctx, &spec, pod, c, module, at); err != nil {
		return runtime.Spec{}, err
	}
	if spec.Network, err = w.guestNetwork(ctx, pod, at); err != nil {
		return runtime.Spec{}, err
	}
	return spec, nil
}

// temporary reports whether a start may succeed the next time, and the error is not the module's
// fault. Such a start does not count as a run.
func temporary(err error) bool {
	return errors.Is(err, runtime.ErrFull) || errors.Is(err, runtime.ErrLost)
}

// remove deletes the object, if it still exists and has the same UID, and then removes the pod's
// folders.
func (w *podActions) remove(ctx context.Context, pod *corev1.Pod, object bool) error {
	if err := w.awaitStrays(ctx); err != nil {
		return err
	}
	if object {
		now := int64(0)
		err := w.node.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &now,
			Preconditions:      metav1.NewUIDPreconditions(string(pod.UID)),
		})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting the pod from the API server: %w", err)
		}
	}
	w.volumes.TearDown()
	return w.dirs.Remove(ctx)
}

// record makes an event on the pod, or on one of its containers.
func (w *podActions) record(pod *corev1.Pod, c *corev1.Container, e events.Event) {
	ref := &corev1.ObjectReference{
		APIVersion: "v1", Kind: "Pod",
		Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
	}
	if c != nil {
		ref.FieldPath = podspec.FieldPath(pod, c.Name)
	}
	w.node.Events.Event(ref, e.Kind, e.Reason, e.Message)
}

// newID is a container ID as other runtimes make them: 64 hexadecimal digits.
func newID() string {
	var id [32]byte
	// It never fails: crypto/rand ends the process if the kernel has no random bytes.
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}
