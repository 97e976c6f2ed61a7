package bench

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// logClient asks the node directly, with the certificate that the API server uses for that.
type logClient struct {
	*http.Client
	url string
}

func newLogClient(b *testing.B, f *field, http2 bool) logClient {
	b.Helper()
	pki := filepath.Join(testcluster.Start(b).Dir(), "pki")
	pair, err := tls.LoadX509KeyPair(filepath.Join(pki, "kube-apiserver-kubelet-client.crt"), filepath.Join(pki, "kube-apiserver-kubelet-client.key"))
	if err != nil {
		b.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(pki, "ca.crt"))
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, ForceAttemptHTTP2: http2}
	b.Cleanup(transport.CloseIdleConnections)
	return logClient{
		Client: &http.Client{Transport: transport},
		url:    fmt.Sprintf("https://%s:%d/containerLogs/%s/", f.node.IP, testnode.Port, f.namespace),
	}
}

// open asks for the log of a pod's container.
func (c logClient) open(ctx context.Context, pod, query string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+pod+"/main?"+query, nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%s: %s", answer.Status, text)
	}
	return answer.Body, nil
}

// printing starts a pod that prints 1,000 lines a second, and returns its name.
func printing(b *testing.B, f *field) string {
	b.Helper()
	pod := f.pod(f.kitchen, true)
	pod.Spec.Containers[0].Args = []string{"paced", "1000"}
	f.start(b, observe(b, f.watcher, f.namespace), pod)
	return pod.Name
}

func BenchmarkLogs(b *testing.B) {
	b.Run("follow", benchmarkFollow)
	b.Run("followers200", benchmarkFollowers)
	for _, http2 := range []bool{false, true} {
		b.Run(map[bool]string{false: "read/http1", true: "read/http2"}[http2], func(b *testing.B) { benchmarkReadLog(b, http2) })
	}
}

// benchmarkFollow measures the time from the write of a line to the log until a client has the
// line.
func benchmarkFollow(b *testing.B) {
	f := newField(b)
	pod := printing(b, f)
	log, err := newLogClient(b, f, true).open(b.Context(), pod, "follow=true&timestamps=true&tailLines=0")
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	lines := bufio.NewReader(log)
	var late []time.Duration
	for b.Loop() {
		line, err := lines.ReadString('\n')
		now := time.Now()
		stamp, _, _ := strings.Cut(line, " ")
		written, parseErr := time.Parse(time.RFC3339Nano, stamp)
		if err != nil || parseErr != nil {
			b.Fatalf("%q: %v", line, err)
		}
		late = append(late, now.Sub(written))
	}
	slices.Sort(late)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(late[len(late)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(late[len(late)*99/100].Microseconds())/1000, "p99-ms")
}

// benchmarkFollowers lets 200 clients follow one container.
func benchmarkFollowers(b *testing.B) {
	const followers = 200
	f := newField(b)
	pod := printing(b, f)
	client := newLogClient(b, f, true)
	ctx, stop := context.WithCancel(b.Context())
	var reading sync.WaitGroup
	var bytes [followers]int64
	for i := range followers {
		log, err := client.open(ctx, pod, "follow=true&tailLines=0")
		if err != nil {
			b.Fatal(err)
		}
		reading.Go(func() {
			defer log.Close()
			buf := make([]byte, 32<<10)
			for {
				n, err := log.Read(buf)
				bytes[i] += int64(n)
				if err != nil {
					return
				}
			}
		})
	}
	agent := f.node.Process().PID()
	began, before := time.Now(), used(b, agent)
	for b.Loop() {
		time.Sleep(10 * time.Second) // the measurement is about this time
	}
	took, spent := time.Since(began), used(b, agent)-before
	stop()
	reading.Wait()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(100*float64(spent)/float64(took), "agent-%")
	const line = "this is line 0000000000, as usual\n"
	b.ReportMetric(float64(slices.Min(bytes[:]))/took.Seconds()/float64(len(line)), "lines/s-each")
	b.ReportMetric(float64(resident(b, agent)>>20), "agent-MB")
}

// benchmarkReadLog reads a log of 1 GiB.
func benchmarkReadLog(b *testing.B, http2 bool) {
	const size = 1 << 30
	f := newField(b, "--container-log-max-size", "2Gi")
	pod := f.pod(f.kitchen, true)
	pod.Spec.Containers[0].Args = []string{"each", "bulk 1024", "sleep"}
	f.start(b, observe(b, f.watcher, f.namespace), pod)
	client := newLogClient(b, f, http2)
	testnode.Eventually(b, func() error {
		log, err := client.open(b.Context(), pod.Name, "tailLines=1")
		if err != nil {
			return err
		}
		defer log.Close()
		text, err := io.ReadAll(log)
		if err == nil && string(text) != "sleeping\n" {
			err = fmt.Errorf("the log ends with %.20q", text)
		}
		return err
	})
	agent := f.node.Process().PID()
	before, most := resident(b, agent), int64(0)
	b.SetBytes(size)
	for b.Loop() {
		log, err := client.open(b.Context(), pod.Name, "")
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, log, make([]byte, 1<<20))
		most = max(most, resident(b, agent))
		if err := log.Close(); err != nil {
			b.Fatal(err)
		}
		if err != nil || n < size {
			b.Fatalf("read %d bytes, %v", n, err)
		}
	}
	b.ReportMetric(float64((most-before)>>20), "grown-MB")
}
