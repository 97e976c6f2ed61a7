package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
)

// Objects reads the ConfigMaps and Secrets of the cluster. Callers share the results and must not
// change them. *objects.Store is one.
type Objects interface {
	ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
	// The Fresh methods return the newest, which matters when a pod starts.
	FreshConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error)
	FreshSecret(ctx context.Context, namespace, name string) (*corev1.Secret, error)
}

// Config is what Volumes needs. All fields are required unless their comment says otherwise.
type Config struct {
	Dir     string // absolute; the package makes everything below it
	Objects Objects
	Client  kubernetes.Interface // for tokens and claims
	// Patiently calls ask, which asks the API server. It calls ask again if the answer may change
	// in a moment. If Patiently is nil, ask is called once.
	Patiently func(ctx context.Context, ask func() error) error
	// Field is the value of a fieldRef.
	Field func(pod *corev1.Pod, path string) (string, error)
	// Resource is the value of a resourceFieldRef, which names a container.
	Resource func(pod *corev1.Pod, ref *corev1.ResourceFieldSelector) (string, error)
	// NodeLabels are the labels of the Node. The persistent volume of a claim may require some of
	// them.
	NodeLabels func(ctx context.Context) (map[string]string, error)
	Log        *zap.Logger
}

// Volumes are the volumes of one pod. Its methods may be called from any goroutine. Only SetUp and
// Refresh wait for the API server.
type Volumes struct {
	Config

	reading sync.Mutex // held by SetUp and Refresh, before mu
	tokens  map[tokenKey]token

	mu   sync.Mutex // held while files are made, but not while Refresh reads
	gone bool
	made map[string]made // by the volume's name
}

// ask calls a function that asks the API server.
func (v *Volumes) ask(ctx context.Context, call func() error) error {
	if v.Patiently == nil {
		return call()
	}
	return v.Patiently(ctx, call)
}

// made is a volume that is set up.
type made struct {
	kind *kind
	// host is a directory, or a file if a hostPath is one. Its path has no symbolic link. It is
	// empty if the volume shows an image.
	host     string
	readOnly bool
	// parts is the folder for parts of a volume with content that runs use. It is on the volume's
	// file system. If parts is empty, the parts are in the run's folder.
	parts string
}

// New makes the volumes of a pod. None of them is set up yet.
func New(config Config) *Volumes {
	return &Volumes{Config: config, tokens: map[tokenKey]token{}, made: map[string]made{}}
}

// Error says, in the kubelet's words, why a volume could not be set up.
type Error struct {
	Volume string
	Err    error
}

func (e *Error) Error() string {
	var elsewhere *elsewhereError
	if errors.As(e.Err, &elsewhere) {
		return elsewhere.Error()
	}
	return fmt.Sprintf("MountVolume.SetUp failed for volume %q : %v", e.Volume, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// ErrGone is the error of methods that are called after TearDown.
var ErrGone = errors.New("the pod's volumes were removed")

// SetUp makes all volumes that containers of the pod mount, or that its annotations name. It
// updates those that exist, so it may be called for a pod that runs. It returns an *Error for each
// volume that it cannot make, and makes the others.
func (v *Volumes) SetUp(ctx context.Context, pod *corev1.Pod) []error {
	v.reading.Lock()
	defer v.reading.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return []error{ErrGone}
	}
	var failed []error
	used := mounted(pod)
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		if !used[volume.Name] {
			continue
		}
		m, err := v.setUp(ctx, pod, volume)
		if err != nil {
			failed = append(failed, &Error{volume.Name, err})
			continue
		}
		v.made[volume.Name] = m
	}
	return failed
}

// mounted are the names of the volumes that containers mount, or that annotations name.
func mounted(pod *corev1.Pod) map[string]bool {
	used := map[string]bool{}
	see := func(mounts []corev1.VolumeMount) {
		for _, m := range mounts {
			used[m.Name] = true
		}
	}
	for _, c := range pod.Spec.InitContainers {
		see(c.VolumeMounts)
	}
	for _, c := range pod.Spec.Containers {
		see(c.VolumeMounts)
	}
	for _, c := range pod.Spec.EphemeralContainers {
		see(c.VolumeMounts)
	}
	for _, name := range podspec.NamedVolumes(pod) {
		used[name] = true
	}
	return used
}

func (v *Volumes) setUp(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume) (made, error) {
	k := kindOf(&volume.VolumeSource)
	if k == nil {
		return made{}, errors.New("this node has no plugin for that type of volume")
	}
	var m made
	var err error
	switch {
	case k.content != nil:
		m, err = v.setUpContent(ctx, pod, volume, k.inMemory)
	case k.dir != nil:
		m, err = k.dir(ctx, v, pod, volume)
	default:
		m.readOnly = true
	}
	m.kind = k
	return m, err
}

func (v *Volumes) setUpContent(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume, inMemory bool) (made, error) {
	files, err := v.read(ctx, pod, volume, true)
	if err != nil {
		return made{}, err
	}
	m, err := v.contentDir(volume.Name, inMemory)
	if err != nil {
		return made{}, err
	}
	return m, replace(m.host, files)
}

// dir makes the directory of a volume.
func (v *Volumes) dir(name string, mode os.FileMode) (string, error) {
	path := filepath.Join(v.Dir, name)
	if err := os.MkdirAll(path, 0o700); err != nil {
		return "", fmt.Errorf("making the volume's directory: %w", err)
	}
	if err := os.Chmod(path, mode); err != nil { // the umask may have cleared bits
		return "", fmt.Errorf("making the volume's directory: %w", err)
	}
	return filepath.EvalSymlinks(path) // only the agent can have made a link there
}

// Refresh updates the volumes whose content may change. If a volume cannot be read, it stays as it
// is, and Refresh goes on with the next one.
func (v *Volumes) Refresh(ctx context.Context, pod *corev1.Pod) error {
	v.reading.Lock()
	defer v.reading.Unlock()
	var errs []error
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		if m, ok := v.get(volume.Name); !ok || m.kind.content == nil {
			continue
		}
		files, err := v.read(ctx, pod, volume, false)
		if err == nil {
			err = v.update(volume.Name, files)
		}
		if err != nil {
			errs = append(errs, &Error{volume.Name, err})
		}
	}
	return errors.Join(errs...)
}

// get returns a volume that is set up. It returns false after TearDown.
func (v *Volumes) get(name string) (made, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	m, ok := v.made[name]
	return m, ok && !v.gone
}

// update replaces the content of a volume. After TearDown it does nothing.
func (v *Volumes) update(name string, files content) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return nil
	}
	return replace(v.made[name].host, files)
}

// TearDown ends the use of the volumes. After it returns, no more files are written. Remove removes
// the files.
func (v *Volumes) TearDown() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gone = true
}
