package bench

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

func BenchmarkScrape(b *testing.B) {
	f := newField(b, "--max-pods", "200")
	seen := observe(b, f.watcher, f.namespace)
	var pods []*corev1.Pod
	for range idlePods {
		pods = append(pods, f.pod(f.tiny, true))
	}
	f.start(b, seen, pods...)
	f.calmDown(b)
	config := f.node.Cluster.Config() // the administrator may read all pages of a node
	config.Host = fmt.Sprintf("https://%s:%d", f.node.IP, testnode.Port)
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		b.Fatal(err)
	}
	for _, page := range []string{"/metrics/resource", "/metrics", "/stats/summary"} {
		b.Run(page[1:], func(b *testing.B) {
			scrape(b, client, config.Host+page)
			agent, worker := f.node.Process().PID(), f.node.Workers(b)[0].PID
			agentBefore, workerBefore := used(b, agent), used(b, worker)
			var took []time.Duration
			var size int64
			for b.Loop() {
				began := time.Now()
				size = scrape(b, client, config.Host+page)
				took = append(took, time.Since(began))
			}
			report(b, "p50-ms", quantile(took, 0.5))
			report(b, "p99-ms", quantile(took, 0.99))
			report(b, "agent-ms", (used(b, agent)-agentBefore)/time.Duration(len(took)))
			report(b, "worker-ms", (used(b, worker)-workerBefore)/time.Duration(len(took)))
			b.ReportMetric(float64(size>>10), "KB")
		})
	}
}

// scrape reads a page to its end, and returns its size.
func scrape(b *testing.B, client *http.Client, url string) int64 {
	b.Helper()
	response, err := client.Get(url)
	if err != nil {
		b.Fatal(err)
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	return n
}
