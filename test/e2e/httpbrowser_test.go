package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestHTTPBrowser: people look at a handler's page with their browser, through
// `kubectl port-forward`.
func TestHTTPBrowser(t *testing.T) {
	t.Parallel()
	program := browser(t)
	s := &suite{cluster: testcluster.Start(t), images: testnode.NewRegistry(t)}
	s.node = testnode.New(t, s.cluster, "")
	s.node.Join(t)
	ns := s.cluster.Namespace(t)
	for _, version := range []string{"0.2", "0.3"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			pod := s.handler("page-"+version[2:], s.images.Push(t, "page-"+version+":v1", component(t, "http-hello-"+version)))
			pod.Annotations = map[string]string{"krustlet-wasi.dev/http-access-log": "true"}
			s.create(t, ns, pod)
			s.await(t, ns, pod.Name, ready(true))
			e := &execs{suite: s, ns: ns, pod: pod.Name}
			to := e.forward(t, ":http")
			// A browser shows a plain text in an element of its own. The page of an error has others.
			if dom := browse(t, program, "http://"+to+"/page?of=browser"); !strings.Contains(dom, ">hello\n</pre></body>") {
				t.Fatalf("the browser shows\n%s", dom)
			}
			testnode.Eventually(t, func() error {
				if log := s.cluster.Kubectl(t, "logs", "-n", ns, pod.Name); !strings.Contains(log, " GET /page HTTP/1.1 200 6 ") {
					return fmt.Errorf("the page is not in the access log:\n%s", log)
				}
				return nil
			})
		})
	}
}

// requireBrowser is set where the tests with a browser must run. Elsewhere they are left out if
// there is none, because developers need not install it.
const requireBrowser = "KRUSTLET_WASI_TEST_CHROMIUM"

// browser is the path of Debian's chromium.
func browser(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv(requireBrowser) != "" {
			t.Fatal(err)
		}
		t.Skipf("chromium is not installed (apt-get install chromium): %v", err)
	}
	return program
}

// browse is the document that a browser has made of a page, as HTML. The browser has no window, its
// files are in a folder of the test, and it reaches only 127.0.0.1.
func browse(t *testing.T, program, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testnode.Patience)
	defer cancel()
	home := t.TempDir()
	cmd := exec.CommandContext(ctx, program,
		"--headless", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-sandbox", // which root cannot have
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-crash-reporter",
		"--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--user-data-dir="+home, "--dump-dom", url)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	var document, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &document, &said
	// The browser starts processes of its own. They are in its group, and end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("the browser: %v, %v\n%s\n%s", err, ctx.Err(), &document, &said)
	}
	return document.String()
}
