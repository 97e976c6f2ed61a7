package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// apiSuite is a suite whose node writes its logs where log shippers expect them.
type apiSuite struct {
	*suite
	logs, links string
}

// TestKubeletAPI runs the tests of the node's own API in parallel on one node.
// docs/security.md: "A request through the API server has the API server's user"
func TestKubeletAPI(t *testing.T) {
	dir := t.TempDir()
	s := &apiSuite{logs: filepath.Join(dir, "pods"), links: filepath.Join(dir, "containers")}
	s.suite = newSuite(t, "", "--pod-logs-dir", s.logs, "--container-logs-dir", s.links,
		"--container-log-max-size=1Mi", "--enable-profiling-handler", "--enable-debug-flags-handler", "--tls-min-version=VersionTLS13")
	for name, test := range map[string]func(*testing.T, *apiSuite){
		"LogOptions":     testLogOptions,
		"LogsOfEach":     testLogsOfEachKind,
		"LogsOfDeleting": testLogsOfDeleting,
		"LogRotation":    testFollowAcrossRotation,
		"LogsBounded":    testLogsBounded,
		"LogShippers":    testLogShippers,
		"Pages":          testPages,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// nodeClient makes a client that speaks to the node directly, as the API server does.
func (s *apiSuite) nodeClient(t *testing.T, http2 bool) *http.Client {
	t.Helper()
	pki := filepath.Join(s.cluster.Dir(), "pki")
	pair, err := tls.LoadX509KeyPair(filepath.Join(pki, "kube-apiserver-kubelet-client.crt"), filepath.Join(pki, "kube-apiserver-kubelet-client.key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(pki, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, ForceAttemptHTTP2: http2}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// call sends a request to the node and returns the whole answer.
func (s *apiSuite) call(t *testing.T, client *http.Client, method, path, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("https://%s:%d%s", s.node.IP, testnode.Port, path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// oddText is the output of the kitchen's command odd: each stream alone, and both together.
func oddText() (stdout, stderr, all string) {
	var bytes []byte
	for b := range 256 {
		if b != '\n' {
			bytes = append(bytes, byte(b))
		}
	}
	first := string(bytes) + "\n" + strings.Repeat("long", 3<<18) + "\n\none two three\n"
	const capitals, last = "ONE TWO THREE\n", "last words"
	return first + last, capitals, first + capitals + last
}

// testLogOptions reads the log of an ended container with every option, over both versions of HTTP.
func testLogOptions(t *testing.T, s *apiSuite) {
	ns := s.cluster.Namespace(t)
	for _, pod := range []*corev1.Pod{s.pod("odd", s.kitchen, "odd"), s.pod("silent", s.kitchen, "exit", "0")} {
		pod.Spec.RestartPolicy = corev1.RestartPolicyNever
		s.create(t, ns, pod)
	}
	s.awaitPhase(t, ns, "odd", corev1.PodSucceeded)
	s.awaitPhase(t, ns, "silent", corev1.PodSucceeded)
	stdout, stderr, all := oddText()
	future := url.QueryEscape(time.Now().Add(time.Hour).Format(time.RFC3339))
	for _, http2 := range []bool{false, true} {
		client := s.nodeClient(t, http2)
		get := func(pod, query string) (int, string) {
			return s.call(t, client, http.MethodGet, "/containerLogs/"+ns+"/"+pod+"/main?"+query, "")
		}
		for query, want := range map[string]string{
			"":                          all,
			"follow=true":               all,
			"stream=Stdout":             stdout,
			"stream=Stderr":             stderr,
			"stream=Stderr&follow=true": stderr,
			"tailLines=0":               "",
			"tailLines=2":               stderr + "last words",
			"tailLines=1&follow=true":   "last words",
			"limitBytes=300":            all[:300],
			"tailLines=3&limitBytes=7":  "one two",
			"sinceSeconds=3600":         all,
			"sinceTime=" + future:       "",
			"sinceTime=2020-01-01T00:00:00Z&tailLines=1": "last words",
		} {
			if code, text := get("odd", query); code != 200 || text != want {
				t.Errorf("HTTP/2 %t, ?%s: %d, %d bytes %.100q, want %d bytes", http2, query, code, len(text), text, len(want))
			}
		}
		code, text := get("odd", "timestamps=true&tailLines=2")
		lines := strings.SplitAfter(text, "\n")
		for i, want := range []string{stderr, "last words"} {
			stamp, rest, _ := strings.Cut(lines[i], " ")
			if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil || rest != want || code != 200 {
				t.Errorf("HTTP/2 %t, timestamps: %d %q", http2, code, text)
			}
		}
		if code, text := get("odd", "previous=true"); code != 400 || !strings.Contains(text, "previous terminated container") {
			t.Errorf("HTTP/2 %t, previous: %d %q", http2, code, text)
		}
		if code, text := get("silent", "follow=true"); code != 200 || text != "" {
			t.Errorf("HTTP/2 %t, an empty log: %d %q", http2, code, text)
		}
		if code, text := get("odder", ""); code != 404 || !strings.Contains(text, "odder") {
			t.Errorf("HTTP/2 %t, no such pod: %d %q", http2, code, text)
		}
	}
}

// testLogsOfEachKind reads logs of containers of each kind.
func testLogsOfEachKind(t *testing.T, s *apiSuite) {
	ns := s.cluster.Namespace(t)
	always := corev1.ContainerRestartPolicyAlways
	pod := s.pod("kinds", s.kitchen, "each", "echo main", "sleep")
	pod.Spec.InitContainers = []corev1.Container{
		{Name: "first", Image: s.kitchen, Args: []string{"echo", "init"}},
		{Name: "side", Image: s.kitchen, Args: []string{"each", "echo beside", "sleep"}, RestartPolicy: &always},
	}
	s.create(t, ns, pod)
	s.awaitPhase(t, ns, "kinds", corev1.PodRunning)
	pod, err := s.get(ns, "kinds")
	if err != nil {
		t.Fatal(err)
	}
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "debug", Image: s.kitchen, Args: []string{"echo", "afterwards"}, ImagePullPolicy: corev1.PullIfNotPresent,
	}}}
	if _, err := s.client().CoreV1().Pods(ns).UpdateEphemeralContainers(context.Background(), "kinds", pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	for container, want := range map[string]string{"first": "init\n", "side": "beside\n", "main": "main\n", "debug": "afterwards\n"} {
		testnode.Eventually(t, func() error {
			cmd, out := s.kubectl(t, "logs", "-n", ns, "kinds", "-c", container)
			if err := cmd.Run(); err != nil || !strings.Contains(out.String(), want) {
				return fmt.Errorf("the log of %s: %q, %w", container, out, err)
			}
			return nil
		})
	}
}

// testLogsOfDeleting follows the log of a pod that is being deleted, to its end.
func testLogsOfDeleting(t *testing.T, s *apiSuite) {
	ns := s.cluster.Namespace(t)
	pod := s.pod("leaves", s.kitchen, "count")
	grace := int64(3)
	pod.Spec.TerminationGracePeriodSeconds = &grace
	pod = s.create(t, ns, pod)
	s.awaitPhase(t, ns, "leaves", corev1.PodRunning)
	follow, followed := s.kubectl(t, "logs", "-n", ns, "-f", "leaves")
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	s.delete(t, pod)
	s.await(t, ns, "leaves", func(p *corev1.Pod) error {
		if p.DeletionTimestamp == nil {
			return errors.New("not deleted")
		}
		return nil
	})
	if text := s.cluster.Kubectl(t, "logs", "-n", ns, "leaves"); !strings.HasPrefix(text, "0\n1\n") {
		t.Errorf("while it is deleted: %.50q", text)
	}
	s.awaitGone(t, pod)
	if err := follow.Wait(); err != nil || !strings.HasPrefix(followed.String(), "0\n1\n") {
		t.Errorf("the follower saw %.50q, %v", followed, err)
	}
}

// testFollowAcrossRotation: a client that follows a log gets each line once, although the file is
// rotated many times. On a slow machine the first lines may already be removed.
func testFollowAcrossRotation(t *testing.T, s *apiSuite) {
	ns := s.cluster.Namespace(t)
	const mib = 12 // in files of 1 MiB; five files are kept
	pod := s.pod("bulk", s.kitchen, "each", "sleep 2s", fmt.Sprintf("bulk %d 300", mib))
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, pod)
	s.await(t, ns, "bulk", func(p *corev1.Pod) error {
		if p.Status.Phase == corev1.PodPending {
			return errors.New("pending")
		}
		return nil
	})
	stream, err := s.client().CoreV1().Pods(ns).GetLogs("bulk", &corev1.PodLogOptions{Follow: true}).Stream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	lines := bufio.NewScanner(stream)
	first, n := -1, 0
	for lines.Scan() {
		number, rest, _ := strings.Cut(lines.Text(), " ")
		got, err := strconv.Atoi(number)
		if first < 0 && err != nil {
			continue // lines of the guest before the numbers
		}
		if first < 0 {
			first, n = got, got
		}
		if err != nil || got != n || len(rest) != 1013 {
			t.Fatalf("line %d is %.20q", n, lines.Text())
		}
		n++
	}
	if err := lines.Err(); err != nil || first < 0 || n != mib<<10 {
		t.Errorf("lines %d to %d of %d, %v", first, n, mib<<10, err)
	}
	t.Logf("the first line was %d", first)
	left := s.cluster.Kubectl(t, "logs", "-n", ns, "bulk")
	if last := fmt.Sprintf("%09d ", mib<<10-1); !strings.Contains(left, "\n"+last) || len(left) > 5<<20 || len(left) < 3<<20 {
		t.Errorf("%d bytes are left", len(left))
	}
}

// testLogsBounded lets a guest write as fast as it can.
func testLogsBounded(t *testing.T, s *apiSuite) {
	ns := s.cluster.Namespace(t)
	pod := s.create(t, ns, s.pod("fast", s.kitchen, "yes"))
	dir := filepath.Join(s.logs, fmt.Sprintf("%s_%s_%s", ns, pod.Name, pod.UID), "main")
	seen := map[string]bool{}
	testnode.Eventually(t, func() error {
		var total int64
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if info, err := entry.Info(); err == nil { // the file may be removed by now
				total += info.Size()
				seen[entry.Name()] = true
			}
		}
		if total > 6<<20 { // one more file than is kept, because the test may see it before it is removed
			t.Fatalf("the log takes %d KiB", total>>10)
		}
		if len(seen) < 20 {
			return fmt.Errorf("%d files so far", len(seen))
		}
		return nil
	})
	s.delete(t, pod)
	s.awaitGone(t, pod)
}

// testLogShippers: each run's log has a link. The link's name says which container wrote the log.
func testLogShippers(t *testing.T, s *apiSuite) {
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.pod("shipped", s.hello, "3", "1ms"))
	pod := s.await(t, ns, "shipped", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].RestartCount < 1 || c[0].LastTerminationState.Terminated == nil {
			return errors.New("not restarted")
		}
		return nil
	})
	id := strings.TrimPrefix(pod.Status.ContainerStatuses[0].LastTerminationState.Terminated.ContainerID, "wasmtime://")
	link := filepath.Join(s.links, "shipped_"+ns+"_main-"+id+".log")
	text, err := os.ReadFile(link)
	if err != nil || bytes.Count(text, []byte(" stdout F hello from WebAssembly, line ")) != 3 {
		t.Errorf("by the link there is %q (%v)", text, err)
	}
	s.delete(t, pod)
	s.awaitGone(t, pod)
	testnode.Eventually(t, func() error {
		left, err := filepath.Glob(filepath.Join(s.links, "shipped_"+ns+"_*"))
		dirs, _ := filepath.Glob(filepath.Join(s.logs, ns+"_shipped_*"))
		if left = append(left, dirs...); err != nil || len(left) > 0 {
			return fmt.Errorf("left behind: %q (%w)", left, err)
		}
		return nil
	})
}

// testPages checks the pages with which the node describes itself.
func testPages(t *testing.T, s *apiSuite) {
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.pod("runs", s.kitchen, "sleep"))
	ended := s.pod("ended", s.kitchen, "exit", "0")
	ended.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, ended)
	s.awaitPhase(t, ns, "runs", corev1.PodRunning)
	s.awaitPhase(t, ns, "ended", corev1.PodSucceeded)
	client := s.nodeClient(t, true)
	listed := func(path string) map[string]corev1.Pod {
		t.Helper()
		code, text := s.call(t, client, http.MethodGet, path, "")
		var list corev1.PodList
		if err := json.Unmarshal([]byte(text), &list); err != nil || code != 200 {
			t.Fatalf("%s: %d %v", path, code, err)
		}
		pods := map[string]corev1.Pod{}
		for _, pod := range list.Items {
			if pod.Namespace == ns {
				pods[pod.Name] = pod
			}
		}
		return pods
	}
	if pods := listed("/pods"); len(pods) != 2 || pods["ended"].Status.Phase != corev1.PodSucceeded {
		t.Errorf("/pods: %v", pods)
	}
	pods := listed("/runningpods/")
	if c := pods["runs"].Spec.Containers; len(pods) != 1 || pods["runs"].UID == "" || len(c) != 1 || c[0].Name != "main" || c[0].Image != s.kitchen {
		t.Errorf("/runningpods/: %v", pods)
	}
	for _, test := range []struct {
		method, path, body string
		code               int
		say                string
	}{
		{"GET", "/healthz?verbose", "", 200, "[+]syncloop ok"},
		{"GET", "/configz", "", 200, `"containerLogMaxSize":"1Mi"`},
		{"GET", "/debug/pprof/goroutine?debug=1", "", 200, "goroutine profile"},
		{"PUT", "/debug/flags/v", "loud", 400, `"loud" is not a log level`},
		{"PUT", "/debug/flags/v", "debug", 200, "the log level is now debug"},
	} {
		if code, text := s.call(t, client, test.method, test.path, test.body); code != test.code || !strings.Contains(text, test.say) {
			t.Errorf("%s %s: %d %.200q, want %d and %q", test.method, test.path, code, text, test.code, test.say)
		}
	}
	testnode.Eventually(t, func() error {
		for line := range strings.Lines(s.node.Process().Stderr()) {
			var entry map[string]any
			if json.Unmarshal([]byte(line), &entry) == nil && entry["message"] == "privileged request" && entry["path"] == "/debug/flags/v" {
				if entry["user"] != "kube-apiserver-kubelet-client" || entry["verb"] != "update" || entry["took"] == nil || entry["client"] == nil {
					t.Errorf("the audit says %s", line)
				}
				return nil
			}
		}
		return errors.New("there is no audit line")
	})
}
