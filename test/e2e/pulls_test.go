package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
	images "github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
)

// guarded is a registry with one user, me, who has a password.
type guarded struct {
	*httptest.Server
	host, password string
}

func newGuarded(t *testing.T, password string) *guarded {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	g := &guarded{password: password}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != g.password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	g.host = g.Listener.Addr().String()
	return g
}

// Lookup returns the password of the registry, for push.
func (g *guarded) Lookup(context.Context, string) ([]credentials.Credential, error) {
	return []credentials.Credential{{Username: "me", Password: g.password}}, nil
}

func (g *guarded) push(t *testing.T, name string, module []byte) (ref string) {
	t.Helper()
	ref = g.host + "/" + name
	if _, err := images.Push(t.Context(), ref, module, images.PushConfig{Keys: g}); err != nil {
		t.Fatal(err)
	}
	return ref
}

// secret makes a Secret with the password, as `kubectl create secret docker-registry` does.
func (g *guarded) secret(t *testing.T, s *suite, namespace, name string) {
	t.Helper()
	s.cluster.Kubectl(t, "create", "secret", "docker-registry", name, "-n", namespace,
		"--docker-server="+g.host, "--docker-username=me", "--docker-password="+g.password)
}

// TestPulls: which pods may use which image, and what an operator sees of the images.
func TestPulls(t *testing.T) {
	t.Parallel()
	secrets, plugged := newGuarded(t, "by-secret"), newGuarded(t, "by-plugin")
	dir := t.TempDir()
	plugin := fmt.Sprintf("#!/bin/sh\nread request\ncat <<END\n%s\nEND\n", fmt.Sprintf(
		`{"kind": "CredentialProviderResponse", "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "cacheKeyType": "Registry",
		"auth": {%q: {"username": "me", "password": %q}}}`, plugged.host, plugged.password))
	config := fmt.Sprintf(`{"kind": "CredentialProviderConfig", "apiVersion": "kubelet.config.k8s.io/v1", "providers": [{"name": "login",
		"apiVersion": "credentialprovider.kubelet.k8s.io/v1", "matchImages": [%q], "defaultCacheDuration": "1m"}]}`, plugged.host)
	for name, content := range map[string]string{"login": plugin, "config.json": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := newSuite(t, "", "--image-credential-provider-config="+filepath.Join(dir, "config.json"), "--image-credential-provider-bin-dir="+dir)
	for name, test := range map[string]func(*testing.T, *suite){
		"secrets":          func(t *testing.T, s *suite) { testPullSecrets(t, s, secrets) },
		"service account":  func(t *testing.T, s *suite) { testServiceAccountSecrets(t, s, secrets) },
		"plugin":           func(t *testing.T, s *suite) { testCredentialPlugin(t, s, plugged) },
		"missing secret":   testMissingSecret,
		"status of node":   testNodeImages,
		"command":          testImageCommand,
		"verification":     testVerification,
		"warm start":       testWarmStart,
		"disk of the node": testDiskFull,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, s) })
	}
}

func testPullSecrets(t *testing.T, s *suite, reg *guarded) {
	image := reg.push(t, "private:v1", padded(t, 1000))
	one, two := s.cluster.Namespace(t), s.cluster.Namespace(t)
	reg.secret(t, s, one, "login")
	reg.secret(t, s, two, "other")
	make := func(ns, name string, policy corev1.PullPolicy, secrets ...string) *corev1.Pod {
		pod := s.pod(name, image)
		pod.Spec.Containers[0].ImagePullPolicy = policy
		for _, name := range secrets {
			pod.Spec.ImagePullSecrets = append(pod.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
		}
		return s.create(t, ns, pod)
	}
	first := make(one, "first", corev1.PullIfNotPresent, "login")
	s.awaitPhase(t, one, "first", corev1.PodRunning)
	s.awaitEvents(t, first, fmt.Sprintf("Pulling Pulling image %q", image), fmt.Sprintf("Pulled Successfully pulled image %q in ", image))

	// The image is on the node now, but not for every pod.
	make(two, "none", corev1.PullIfNotPresent)
	make(two, "never", corev1.PullNever)
	s.awaitWaiting(t, two, "none", "401", "ErrImagePull", "ImagePullBackOff")
	s.awaitWaiting(t, two, "never", "is not present with pull policy of Never", "ErrImageNeverPull", "ImagePullBackOff")
	same := make(two, "same", corev1.PullNever, "other")
	s.awaitPhase(t, two, "same", corev1.PodRunning)
	s.awaitEvents(t, same, fmt.Sprintf("Pulled Container image %q already present on machine and can be accessed by the pod", image))
}

// awaitWaiting waits until a pod's container waits for one of these reasons, with this message.
func (s *suite) awaitWaiting(t *testing.T, namespace, name, message string, reasons ...string) {
	t.Helper()
	s.await(t, namespace, name, func(p *corev1.Pod) error {
		c := p.Status.ContainerStatuses
		if len(c) != 1 || c[0].State.Waiting == nil {
			return errors.New("not waiting")
		}
		got := c[0].State.Waiting
		if !slices.Contains(reasons, got.Reason) || !strings.Contains(got.Message, message) {
			return fmt.Errorf("waits for %s: %s", got.Reason, got.Message)
		}
		return nil
	})
}

// testVerification: if an operator or another pod has pulled an image, the node's policy decides
// which pods may use it.
func testVerification(t *testing.T, of *suite) {
	reg := newGuarded(t, "by-operator")
	login := t.TempDir()
	auth := fmt.Sprintf(`{"auths": {%q: {"username": "me", "password": %q}}}`, reg.host, reg.password)
	if err := os.WriteFile(filepath.Join(login, "config.json"), []byte(auth), 0o600); err != nil {
		t.Fatal(err)
	}
	preloaded, listed, private := reg.push(t, "preloaded:v1", padded(t, 1000)), reg.push(t, "base/listed:v1", padded(t, 1000)), reg.push(t, "private:v1", padded(t, 1000))
	for name, tt := range map[string]struct {
		args []string
		free []string // the images that pods get without a Secret
	}{
		"always": {[]string{"--image-pull-credentials-verification-policy=AlwaysVerify"}, nil},
		"never":  {[]string{"--image-pull-credentials-verification-policy=NeverVerify"}, []string{preloaded, listed, private}},
		"listed": {[]string{
			"--image-pull-credentials-verification-policy=NeverVerifyAllowlistedImages",
			"--preloaded-images-verification-allowlist=other.example/app," + reg.host + "/base/*",
		}, []string{listed}},
		"preloaded": {nil, []string{preloaded, listed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &suite{cluster: of.cluster, images: of.images, node: testnode.New(t, of.cluster, "")}
			s.node.Args = append(s.node.Args, tt.args...)
			s.node.Join(t)
			ns := s.cluster.Namespace(t)
			reg.secret(t, s, ns, "login")
			make := func(name, image string, policy corev1.PullPolicy, secrets ...corev1.LocalObjectReference) {
				pod := s.pod(name, image)
				pod.Spec.Containers[0].ImagePullPolicy, pod.Spec.ImagePullSecrets = policy, secrets
				s.create(t, ns, pod)
			}
			if _, err := s.imageCommandWith(t, []string{"DOCKER_CONFIG=" + login}, "pull", preloaded, listed); err != nil {
				t.Fatal(err)
			}
			make("owner", private, corev1.PullIfNotPresent, corev1.LocalObjectReference{Name: "login"})
			s.awaitPhase(t, ns, "owner", corev1.PodRunning)
			for i, image := range []string{preloaded, listed, private} {
				never, asks := fmt.Sprintf("never-%d", i), fmt.Sprintf("asks-%d", i)
				make(never, image, corev1.PullNever)
				make(asks, image, corev1.PullIfNotPresent)
				if slices.Contains(tt.free, image) {
					s.awaitPhase(t, ns, never, corev1.PodRunning)
					s.awaitPhase(t, ns, asks, corev1.PodRunning)
					continue
				}
				s.awaitWaiting(t, ns, never, "is not present with pull policy of Never", "ErrImageNeverPull", "ImagePullBackOff")
				s.awaitWaiting(t, ns, asks, "401", "ErrImagePull", "ImagePullBackOff")
			}
			// The registry accepts the Secret. From then on the node knows it.
			make("first", preloaded, corev1.PullIfNotPresent, corev1.LocalObjectReference{Name: "login"})
			s.awaitPhase(t, ns, "first", corev1.PodRunning)
			make("second", preloaded, corev1.PullNever, corev1.LocalObjectReference{Name: "login"})
			s.awaitPhase(t, ns, "second", corev1.PodRunning)
		})
	}
}

// testServiceAccountSecrets: the API server gives a pod the pull secrets of its service account.
func testServiceAccountSecrets(t *testing.T, s *suite, reg *guarded) {
	image := reg.push(t, "account:v1", tinyModule(t))
	ns := s.cluster.Namespace(t)
	reg.secret(t, s, ns, "login")
	s.cluster.Kubectl(t, "create", "serviceaccount", "puller", "-n", ns)
	s.cluster.Kubectl(t, "patch", "serviceaccount", "puller", "-n", ns, "-p", `{"imagePullSecrets": [{"name": "login"}]}`)
	pod := s.pod("account", image)
	pod.Spec.ServiceAccountName = "puller"
	s.create(t, ns, pod)
	s.awaitPhase(t, ns, "account", corev1.PodRunning)
}

func testCredentialPlugin(t *testing.T, s *suite, reg *guarded) {
	image := reg.push(t, "plugged:v1", tinyModule(t))
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.pod("plugged", image))
	s.awaitPhase(t, ns, "plugged", corev1.PodRunning)
}

func testMissingSecret(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("missing", s.tiny)
	pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "nowhere"}, {Name: "lost"}}
	pod = s.create(t, ns, pod)
	s.awaitPhase(t, ns, "missing", corev1.PodRunning)
	s.awaitEvents(t, pod, "FailedToRetrieveImagePullSecret Unable to retrieve some image pull secrets (nowhere, lost); attempting to pull the image may not succeed.")
}

func testNodeImages(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	module := padded(t, 5000)
	image := s.images.Push(t, "listed:v1", module)
	s.create(t, ns, s.pod("listed", image))
	pod := s.awaitPhase(t, ns, "listed", corev1.PodRunning)
	want := []string{pod.Status.ContainerStatuses[0].ImageID, image}
	testnode.Eventually(t, func() error {
		node, err := s.client().CoreV1().Nodes().Get(context.Background(), s.node.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, i := range node.Status.Images {
			if slices.Equal(i.Names, want) && i.SizeBytes == int64(len(module)) {
				return nil
			}
		}
		return fmt.Errorf("no %v in %+v", want, node.Status.Images)
	})
}

// imageCommand runs `krustlet-wasi image` on the node while the agent runs.
func (s *suite) imageCommand(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	return s.imageCommandWith(t, nil, args...)
}

// imageCommandWith is like imageCommand, with environment variables of the operator's.
func (s *suite) imageCommandWith(t *testing.T, env []string, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), testnode.Binary(t), append(append([]string{"image"}, args...), "--data-dir="+s.node.DataDir)...)
	cmd.Env = append([]string{"HOME=" + t.TempDir()}, env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs.String())
	}
	return string(out), err
}

func testImageCommand(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	image := s.images.Push(t, "operated:v1", padded(t, 2000))
	if _, err := s.imageCommand(t, "pull", image); err != nil {
		t.Fatal(err)
	}
	pod := s.pod("operated", image)
	pod.Spec.Containers[0].ImagePullPolicy = corev1.PullNever
	pod = s.create(t, ns, pod)
	s.awaitPhase(t, ns, "operated", corev1.PodRunning)
	out, err := s.imageCommand(t, "inspect", image)
	var seen []struct{ InUse bool }
	if err == nil {
		err = json.Unmarshal([]byte(out), &seen)
	}
	if err != nil || len(seen) != 1 || !seen[0].InUse {
		t.Errorf("inspect: %s, %v", out, err)
	}
	if _, err := s.imageCommand(t, "rm", image); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("removing what a pod runs: %v", err)
	}
	s.delete(t, pod)
	testnode.Eventually(t, func() error {
		_, err := s.imageCommand(t, "rm", image)
		return err
	})
	if out, err := s.imageCommand(t, "ls"); err != nil || strings.Contains(out, image) {
		t.Errorf("ls: %s, %v", out, err)
	}
}

// testWarmStart: images on the node start without the registry, unpacked or not. If an image cannot
// be unpacked, the pod says so and the image is removed.
func testWarmStart(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	closing := testnode.NewRegistry(t)
	image := closing.Push(t, "warm:v1", tinyModule(t))
	s.create(t, ns, s.pod("cold", image))
	s.awaitPhase(t, ns, "cold", corev1.PodRunning)
	// The operator has pulled these images, and they are not unpacked yet.
	rooted, broken := closing.Host+"/rooted:v1", closing.Host+"/broken:v1"
	for ref, module := range map[string][]byte{rooted: tinyModule(t), broken: []byte("none")} {
		image := guests.Image(t, v1.Config{Entrypoint: []string{"/app.wasm"}}, map[string][]byte{"app.wasm": module})
		if err := crane.Push(image, ref); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := s.imageCommand(t, "pull", rooted, broken); err != nil {
		t.Fatal(out, err)
	}
	closing.Close()
	s.create(t, ns, s.pod("warm", image))
	s.awaitPhase(t, ns, "warm", corev1.PodRunning)
	for name, image := range map[string]string{"rooted": rooted, "broken": broken} {
		pod := s.pod(name, image)
		pod.Spec.Containers[0].ImagePullPolicy = corev1.PullNever
		s.create(t, ns, pod)
	}
	s.awaitPhase(t, ns, "rooted", corev1.PodRunning)
	s.awaitWaiting(t, ns, "broken", "found no WebAssembly module", "ErrImagePull", "ImagePullBackOff")
	s.awaitWaiting(t, ns, "broken", "is not present with pull policy of Never", "ErrImageNeverPull", "ImagePullBackOff")
	if out, err := s.imageCommand(t, "ls"); err != nil || strings.Contains(out, broken) || !strings.Contains(out, rooted) {
		t.Errorf("ls: %s, %v", out, err)
	}
}

// padded is the smallest guest with a section of this size without a meaning. The section differs
// in each call.
func padded(t *testing.T, size int) []byte {
	t.Helper()
	section := binary.BigEndian.AppendUint64([]byte{1, 'x'}, uint64(time.Now().UnixNano()))
	section = append(section, make([]byte, size)...)
	return append(binary.AppendUvarint(append(bytes.Clone(tinyModule(t)), 0), uint64(len(section))), section...)
}

// testDiskFull: if the disk fills up, the node says so, accepts no pods, makes room, and recovers.
func testDiskFull(t *testing.T, of *suite) {
	s := &suite{cluster: of.cluster, images: of.images}
	disk := smallDisk(t)
	s.node = testnode.New(t, s.cluster, "")
	s.node.DataDir = filepath.Join(disk, "krustlet")
	s.node.Args = append(s.node.Args, "--minimum-image-ttl-duration=0s", "--eviction-pressure-transition-period=1s")
	s.node.Join(t)
	ns := s.cluster.Namespace(t)

	// There is room for one of these two images. The pods are critical, so that they are not
	// evicted.
	first := s.pod("first", s.images.Push(t, "large:v1", padded(t, 36<<20)))
	first.Spec.PriorityClassName = "system-node-critical"
	first = s.create(t, ns, first)
	s.awaitPhase(t, ns, "first", corev1.PodRunning)
	second := s.pod("second", s.images.Push(t, "large:v2", padded(t, 36<<20)))
	second.Spec.PriorityClassName = "system-node-critical"
	second.Spec.Tolerations = append(second.Spec.Tolerations, corev1.Toleration{Operator: corev1.TolerationOpExists})
	second = s.create(t, ns, second)
	s.awaitEvents(t, second, "Failed Failed to pull image "+fmt.Sprintf("%q", second.Spec.Containers[0].Image)+": there is no room on the disk of ")
	s.delete(t, first)
	s.awaitPhase(t, ns, "second", corev1.PodRunning)

	// Another file fills the disk.
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 64<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	s.awaitNodeCondition(t, corev1.NodeDiskPressure, corev1.ConditionTrue)
	third := s.pod("third", of.tiny)
	third.Spec.NodeSelector, third.Spec.NodeName = nil, s.node.Name
	third.Spec.Tolerations = append(third.Spec.Tolerations, corev1.Toleration{Operator: corev1.TolerationOpExists})
	s.create(t, ns, third)
	s.await(t, ns, "third", func(p *corev1.Pod) error {
		if p.Status.Phase != corev1.PodFailed || p.Status.Reason != "Evicted" || p.Status.Message != "Pod was rejected: The node had condition: [DiskPressure]. " {
			return fmt.Errorf("%s: %s: %s", p.Status.Phase, p.Status.Reason, p.Status.Message)
		}
		return nil
	})
	s.awaitNodeEvent(t, "FreeDiskSpaceFailed")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.awaitNodeCondition(t, corev1.NodeDiskPressure, corev1.ConditionFalse)
	s.create(t, ns, s.pod("fourth", of.tiny))
	s.awaitPhase(t, ns, "second", corev1.PodRunning)
	s.awaitPhase(t, ns, "fourth", corev1.PodRunning)
}

// smallDisk is a folder on a disk of 64 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("small", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("this process may not mount: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func (s *suite) awaitNodeEvent(t *testing.T, reason string) {
	t.Helper()
	testnode.Eventually(t, func() error {
		list, err := s.client().CoreV1().Events("").List(context.Background(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.InvolvedObject.UID == types.UID(s.node.Name) && e.Reason == reason {
				return nil
			}
		}
		return fmt.Errorf("no event %s of node %s", reason, s.node.Name)
	})
}
