package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
)

func testOwnFiles(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	pod := s.once("own", "cat /etc/hosts", "cat /etc/hostname", "cat /etc/resolv.conf", "append /etc/hosts more", "ls /etc")
	pod.Spec.HostAliases = []corev1.HostAlias{{IP: "192.0.2.1", Hostnames: []string{"a.test", "b.test"}}}
	pod.Spec.DNSPolicy = corev1.DNSNone
	pod.Spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.53"}, Searches: []string{"x.test"}, Options: []corev1.PodDNSConfigOption{{Name: "ndots", Value: ptr("2")}}}
	pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: ptr(true)}
	s.create(t, ns, pod)
	log := s.finalLog(t, ns, "own", corev1.PodSucceeded)
	now, err := s.get(ns, "own")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n", now.Status.PodIP + "\town\n", "\n# Entries added by HostAliases.\n192.0.2.1\ta.test\tb.test\n",
		"$ cat /etc/hostname\nown\n", "search x.test\nnameserver 192.0.2.53\noptions ndots:2\n", "$ append /etc/hosts more\n$ ls /etc\nhostname\nhosts\nresolv.conf\n",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %q in\n%s", want, log)
		}
	}
}

func testTerminationMessage(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	message := func(name string) string {
		t.Helper()
		var text string
		s.await(t, ns, name, func(p *corev1.Pod) error {
			c := p.Status.ContainerStatuses
			if len(c) != 1 || c[0].State.Terminated == nil {
				return errors.New("not terminated")
			}
			text = c[0].State.Terminated.Message
			return nil
		})
		return text
	}
	make := func(name string, policy corev1.TerminationMessagePolicy, args ...string) {
		pod := s.pod(name, s.kitchen, args...)
		pod.Spec.RestartPolicy = corev1.RestartPolicyNever
		pod.Spec.Containers[0].TerminationMessagePolicy = policy
		if name == "own-path" {
			pod.Spec.Containers[0].TerminationMessagePath = "/var/say/why"
		}
		s.create(t, ns, pod)
	}
	make("file", corev1.TerminationMessageReadFile, "write", "/dev/termination-log", "DONE")
	make("own-path", corev1.TerminationMessageReadFile, "write", "/var/say/why", "because")
	make("nothing", corev1.TerminationMessageReadFile, "echo", "x")
	make("quiet", corev1.TerminationMessageFallbackToLogsOnError, "echo", "x")
	make("log", corev1.TerminationMessageFallbackToLogsOnError, "cat", "/nowhere")
	for name, want := range map[string]string{
		"file": "DONE", "own-path": "because", "nothing": "Module run completed", "quiet": "", "log": "open /nowhere: No such file or directory\n",
	} {
		if got := message(name); got != want {
			t.Errorf("%s: message %q, want %q", name, got, want)
		}
	}
}

// testToken: with its own token, each pod can use the API as its service account.
func testToken(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	const at = "/var/run/secrets/kubernetes.io/serviceaccount/"
	pod := s.create(t, ns, s.once("token", "cat "+at+"namespace", "cat "+at+"ca.crt", "cat "+at+"token"))
	log := s.finalLog(t, ns, "token", corev1.PodSucceeded)
	if !strings.Contains(log, "namespace\n"+ns+"$") || !strings.Contains(log, "BEGIN CERTIFICATE") {
		t.Errorf("the pod printed\n%s", log)
	}
	review, err := s.client().AuthenticationV1().TokenReviews().Create(context.Background(), &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: log[strings.LastIndex(strings.TrimSpace(log), "\n")+1:]},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if user := review.Status.User; user.Username != "system:serviceaccount:"+ns+":default" || user.Extra["authentication.kubernetes.io/pod-uid"][0] != string(pod.UID) {
		t.Errorf("the token is that of %+v: %s", user, review.Status.Error)
	}
}

// testVolumesPage runs the examples of docs/volumes.md.
func testVolumesPage(t *testing.T, s *suite) {
	ns := s.cluster.Namespace(t)
	page, err := os.ReadFile(filepath.Join(testcluster.Root(), "docs", "volumes.md"))
	if err != nil {
		t.Fatal(err)
	}
	var manifests strings.Builder
	for i, block := range strings.Split(string(page), "```yaml\n") {
		if i > 0 {
			manifests.WriteString("---\n" + block[:strings.Index(block, "```")])
		}
	}
	place := "spec:\n  nodeSelector: {kubernetes.io/hostname: " + s.node.Name + "}\n  tolerations: [{key: kubernetes.io/arch, operator: Exists}]\n  restartPolicy: Never\n"
	text := strings.ReplaceAll(manifests.String(), "spec:\n  restartPolicy: Never\n", place)
	file := filepath.Join(t.TempDir(), "page.yaml")
	model := pushFiles(t, s, "model-of-the-page:v1", map[string][]byte{"weights": []byte("1 2 3 "), "words.txt": []byte("some words")})
	text = strings.NewReplacer("registry.example.org/tool:v1", s.kitchen, "registry.example.org/model:v1", model).Replace(text)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.client().CoreV1().PersistentVolumes().Delete(context.Background(), "example", metav1.DeleteOptions{})
		os.RemoveAll("/var/tmp/krustlet-wasi-example")
	})
	s.cluster.Kubectl(t, "apply", "-n", ns, "-f", file)
	for name, want := range map[string]string{"configured": "greenhushconfigured", "shared": "hello", "on-the-machine": "", "claiming": "", "part": "", "shown": "1 2 3 some words"} {
		if log := s.finalLog(t, ns, name, corev1.PodSucceeded); log != want {
			t.Errorf("%s printed %q, want %q", name, log, want)
		}
	}
	for name, want := range map[string]string{"by-pod": "hello", "claimed": "hello"} {
		if text, err := os.ReadFile(filepath.Join("/var/tmp/krustlet-wasi-example", name)); string(text) != want {
			t.Errorf("%s holds %q %v", name, text, err)
		}
	}
}
