package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

func BenchmarkExec(b *testing.B) {
	f := newField(b)
	cluster := testcluster.Start(b)
	toNode := cluster.Config()
	toNode.Host = "https://" + net.JoinHostPort(f.node.IP, fmt.Sprint(testnode.Port))
	seen := observe(b, f.watcher, f.namespace)
	for _, guest := range []struct {
		name, image string
		command     []string // it ends at once
	}{
		{"tiny", f.tiny, []string{"tiny", "end"}},
		{"go", f.kitchen, []string{"echo", "hello"}},
	} {
		pod := f.pod(guest.image, true)
		pod.Spec.Containers[0].Command = []string{"sleep"}
		f.start(b, seen, pod)
		b.Run("node/"+guest.name, func(b *testing.B) {
			benchmarkExec(b, toNode, toNode.Host+"/exec/"+f.namespace+"/"+pod.Name+"/main", guest.command)
		})
		throughAPI := f.client.CoreV1().RESTClient().Post().Namespace(f.namespace).Resource("pods").Name(pod.Name).SubResource("exec").URL()
		b.Run("api/"+guest.name, func(b *testing.B) { benchmarkExec(b, cluster.Config(), throughAPI.String(), guest.command) })
		if guest.image != f.kitchen {
			continue
		}
		for protocol, stream := range map[string]func(*rest.Config, *url.URL) (remotecommand.Executor, error){"websocket": overWebSocket, "spdy": overSPDY} {
			b.Run("cat/"+protocol, func(b *testing.B) { benchmarkCat(b, stream, cluster.Config(), throughAPI) })
		}
	}
}

// benchmarkExec runs a command that prints a line. It uses SPDY, as API servers do.
func benchmarkExec(b *testing.B, config *rest.Config, target string, command []string) {
	where, err := url.Parse(target)
	if err != nil {
		b.Fatal(err)
	}
	// Both names of the streams: the API server's and the node's.
	where.RawQuery = url.Values{"command": command, "stdout": {"true"}, "output": {"1"}, "container": {"main"}}.Encode()
	var times []time.Duration
	for b.Loop() {
		executor, err := overSPDY(config, where)
		if err != nil {
			b.Fatal(err)
		}
		out := &length{}
		began := time.Now()
		if err := executor.StreamWithContext(b.Context(), remotecommand.StreamOptions{Stdout: out}); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(began))
		if out.n == 0 {
			b.Fatal("the command printed nothing")
		}
	}
	report(b, "p50-ms", quantile(times, 0.5))
	report(b, "p90-ms", quantile(times, 0.9))
}

// catSize is the number of bytes that are sent and come back.
const catSize = 256 << 20

func benchmarkCat(b *testing.B, stream func(*rest.Config, *url.URL) (remotecommand.Executor, error), config *rest.Config, target *url.URL) {
	where := *target
	options := &corev1.PodExecOptions{Command: []string{"cat"}, Stdin: true, Stdout: true}
	values, err := scheme.ParameterCodec.EncodeParameters(options, corev1.SchemeGroupVersion)
	if err != nil {
		b.Fatal(err)
	}
	where.RawQuery = values.Encode()
	input := newBlock()
	b.SetBytes(catSize)
	for b.Loop() {
		executor, err := stream(config, &where)
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(b.Context(), roundTimeout)
		out := &length{}
		err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: io.LimitReader(input, catSize), Stdout: out})
		cancel()
		if err != nil || out.n != catSize {
			b.Fatalf("%d bytes, %v", out.n, err)
		}
	}
}

func overSPDY(config *rest.Config, target *url.URL) (remotecommand.Executor, error) {
	return remotecommand.NewSPDYExecutor(config, http.MethodPost, target)
}

func overWebSocket(config *rest.Config, target *url.URL) (remotecommand.Executor, error) {
	return remotecommand.NewWebSocketExecutor(config, http.MethodGet, target.String())
}

// length counts the bytes that are written to it.
type length struct{ n int }

func (l *length) Write(p []byte) (int, error) { l.n += len(p); return len(p), nil }

// block is an endless stream of bytes.
type block struct{ bytes []byte }

func newBlock() block {
	b := make([]byte, 1<<20)
	_, _ = rand.Read(b) // never returns an error
	return block{b}
}

func (b block) Read(p []byte) (int, error) { return copy(p, b.bytes), nil }
