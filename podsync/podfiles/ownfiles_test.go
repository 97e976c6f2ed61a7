package podfiles

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
)

var testReach = []netip.Addr{netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("fd00::9")}

func TestHostsFile(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	const own = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
	if got := hostsFile(pod, "node\n", testReach, "cluster.local"); got != own+"192.0.2.9\tp\nfd00::9\tp\n" {
		t.Errorf("got\n%s", got)
	}
	pod.Spec.Hostname, pod.Spec.Subdomain = "me", "sub"
	if got := hostsFile(pod, "node\n", testReach, "cluster.local"); got != own+"192.0.2.9\tme.sub.ns.svc.cluster.local\tme\nfd00::9\tme.sub.ns.svc.cluster.local\tme\n" {
		t.Errorf("with a subdomain\n%s", got)
	}
	pod.Spec.HostNetwork = true
	pod.Spec.HostAliases = []corev1.HostAlias{{IP: "192.0.2.1", Hostnames: []string{"a", "b"}}, {IP: "192.0.2.2", Hostnames: []string{"c"}}}
	const want = "# Kubernetes-managed hosts file (host network).\nnode\n\n# Entries added by HostAliases.\n192.0.2.1\ta\tb\n192.0.2.2\tc\n"
	if got := hostsFile(pod, "node\n", testReach, "cluster.local"); got != want {
		t.Errorf("on the host's network\n%s", got)
	}
}

// TestOwnFilesStay: if containers write to their pod's files, the next container and the next agent
// keep that content.
func TestOwnFilesStay(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	d := dirsOf(t.TempDir(), pod)
	node := HostFiles{Etc: t.TempDir()} // a node that has no such files
	for range 2 {
		if _, err := d.MakeOwnFiles(pod, node, testReach); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(d.Etc("hosts"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("more\n")
		f.Close()
	}
	if text, err := os.ReadFile(d.Etc("hosts")); strings.Count(string(text), "more\n") != 2 || strings.Count(string(text), "192.0.2.9") != 1 {
		t.Errorf("%s %v", text, err)
	}
}

func TestLastWords(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a")
	d := dirsOf(t.TempDir(), pod)
	lines := func(n int, line string) string { return strings.Repeat(line+"\n", n) }
	for name, test := range map[string]struct {
		wrote, logged string
		policy        corev1.TerminationMessagePolicy
		exit          runtime.Exit
		containers    int
		want          string
	}{
		"nothing":            {"", "log", corev1.TerminationMessageReadFile, runtime.Exit{Code: 1}, 1, ""},
		"file":               {"why", "log", corev1.TerminationMessageReadFile, runtime.Exit{}, 1, "why"},
		"file and trap":      {"why", "", corev1.TerminationMessageReadFile, runtime.Exit{Code: 134, Message: "trap"}, 1, "trap: why"},
		"end of the file":    {lines(1000, "0123456789") + "end", "", corev1.TerminationMessageReadFile, runtime.Exit{}, 1, (lines(1000, "0123456789") + "end")[11003-4096:]},
		"one of many":        {strings.Repeat("x", 5000), "", corev1.TerminationMessageReadFile, runtime.Exit{}, 12, strings.Repeat("x", 1024)},
		"log of an error":    {"", "a\nb\n", corev1.TerminationMessageFallbackToLogsOnError, runtime.Exit{Code: 1}, 1, "a\nb\n"},
		"no log of success":  {"", "a\n", corev1.TerminationMessageFallbackToLogsOnError, runtime.Exit{}, 1, ""},
		"file before log":    {"why", "a\n", corev1.TerminationMessageFallbackToLogsOnError, runtime.Exit{Code: 1}, 1, "why"},
		"last lines of log":  {"", "first\n" + lines(80, "x"), corev1.TerminationMessageFallbackToLogsOnError, runtime.Exit{Code: 1}, 1, lines(80, "x")},
		"last bytes of log":  {"", lines(10, strings.Repeat("y", 999)), corev1.TerminationMessageFallbackToLogsOnError, runtime.Exit{Code: 1}, 1, lines(10, strings.Repeat("y", 999))[10000-2048:]},
		"a character is cut": {strings.Repeat("ü", 3000) + "x", "", corev1.TerminationMessageReadFile, runtime.Exit{}, 1, strings.Repeat("ü", 2047) + "x"},
	} {
		log, _, err := d.MakeRun(t.Context(), &corev1.Container{Name: "a"}, 0, "")
		if err != nil {
			t.Fatal(err)
		}
		writeLog(t, log, test.logged)
		if err := os.WriteFile(d.TerminationLog("a"), []byte(test.wrote), 0o600); err != nil {
			t.Fatal(err)
		}
		c := &corev1.Container{Name: "a", TerminationMessagePolicy: test.policy}
		if got := d.WithLastWords(c, 0, test.containers, test.exit).Message; got != test.want {
			t.Errorf("%s: %d bytes %q, want %d %q", name, len(got), got, len(test.want), test.want)
		}
	}
}

// writeLog writes a container's log in the format of logs.
func writeLog(t *testing.T, path, text string) {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(time.Now().Format(time.RFC3339Nano) + " " + string(logfile.Stdout) + " F " + line)
	}
	if err := os.WriteFile(path, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}
