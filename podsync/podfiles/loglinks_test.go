package podfiles

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testfiles"
	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

func TestLogLinks(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	pod.Namespace, pod.Name = "ns", "p"
	d := dirsOf(t.TempDir(), pod)
	d.links = logLinks{t.TempDir()}
	testfiles.Write(t, filepath.Join(d.links.dir, "others.log"), "")
	var names []string
	for attempt, id := range []string{"id0", "id1", "id2", "id3"} {
		log, _, err := d.MakeRun(t.Context(), &pod.Spec.Containers[0], int32(attempt), "")
		if err != nil {
			t.Fatal(err)
		}
		if err := d.links.make(pod, "a", id, log); err != nil {
			t.Fatal(err)
		}
		testfiles.Write(t, log, "")
		link := filepath.Join(d.links.dir, "p_ns_a-"+id+".log")
		if at, err := os.Readlink(link); err != nil || at != log {
			t.Errorf("%s leads to %s (%v), want %s", link, at, err, log)
		}
		names, err = entriesOf(d.links.dir)
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"others.log", "p_ns_a-id2.log", "p_ns_a-id3.log"}; !slices.Equal(names, want) {
		t.Errorf("after four runs there are %q, want %q", names, want)
	}
	if err := d.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names, err := entriesOf(d.links.dir); err != nil || !slices.Equal(names, []string{"others.log"}) {
		t.Errorf("after the pod there are %q (%v)", names, err)
	}
}

// Log shippers split the name. This test does it like Fluent Bit.
func TestLogLinkNamesAreUnderstood(t *testing.T) {
	form := regexp.MustCompile(`^([a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*)_([^_]+)_(.+)-([a-z0-9]{64})\.log$`)
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	pod.Namespace, pod.Name = "kube-system", "web-7d4.example-1"
	id := strings.Repeat("ab", 32)
	parts := form.FindStringSubmatch(logLinkName(pod, "my-app", id))
	if want := []string{pod.Name, pod.Namespace, "my-app", id}; len(parts) != 5 || !slices.Equal(parts[1:], want) {
		t.Errorf("read as %q, want %q", parts, want)
	}
}

func TestLogLinkNamesAreCut(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	pod.Namespace, pod.Name = "ns", strings.Repeat("p", 200)
	first, second := strings.Repeat("1", 64), strings.Repeat("1", 63)+"2"
	name := logLinkName(pod, "a", first)
	if len(name) != 255 || !strings.HasPrefix(name, pod.Name+"_ns_a-11") || !strings.HasSuffix(name, "1.log") {
		t.Errorf("%d bytes: %s", len(name), name)
	}
	links := logLinks{t.TempDir()}
	for _, id := range []string{first, second} {
		if err := links.make(pod, "a", id, "/logs/"+id); err != nil {
			t.Fatal(err)
		}
	}
	if at, err := os.Readlink(filepath.Join(links.dir, name)); err != nil || at != "/logs/"+second {
		t.Errorf("it leads to %s (%v), want the last run's", at, err)
	}
}
