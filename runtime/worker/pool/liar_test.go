package pool_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/host"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// liar is a worker that a guest has taken control of. It is honest until a file exists.
type liar struct {
	workerpb.UnimplementedWorkerServer
	lie, from string
	run       atomic.Pointer[workerpb.Run] // its only run
}

func liarMain(args []string) int {
	flags := flag.NewFlagSet("liar", flag.ExitOnError)
	dir := flags.String("dir", "", "")
	ready := flags.Int("ready-fd", 0, "")
	l := &liar{}
	flags.StringVar(&l.lie, "lie", "", "")
	flags.StringVar(&l.from, "from", "", "")
	_ = flags.Parse(args)
	bound, err := host.Bind(*dir) // for the lock; its socket is replaced
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer goruntime.KeepAlive(bound) // the lock is held while bound can be reached
	socket := filepath.Join(*dir, "socket")
	_ = os.Remove(socket)
	listener, err := net.Listen("unix", socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_, _ = os.NewFile(uintptr(*ready), "ready").WriteString("ready\n")
	if l.lie == "garbage" {
		l.garbage(listener)
		return 0
	}
	server := grpc.NewServer(grpc.MaxSendMsgSize(1<<30), grpc.MaxRecvMsgSize(1<<30))
	workerpb.RegisterWorkerServer(server, l)
	_ = server.Serve(listener)
	return 0
}

// lies reports whether the liar must now tell this lie.
func (l *liar) lies(what string) bool {
	_, err := os.Stat(l.from)
	return err == nil && l.lie == what
}

func (l *liar) garbage(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			for piece := []byte(strings.Repeat("HTTP/1.1 200 OK\r\n\xff\x00", 4096)); ; {
				if _, err := conn.Write(piece); err != nil {
					return
				}
			}
		}()
	}
}

func (l *liar) Hello(ctx context.Context, _ *workerpb.HelloRequest) (*workerpb.HelloResponse, error) {
	switch {
	case l.lies("silence"):
		<-ctx.Done()
	case l.lies("another protocol"):
		return &workerpb.HelloResponse{Protocol: 7, Build: "b1"}, nil
	case l.lies("a huge build"):
		return &workerpb.HelloResponse{Protocol: 1, Build: strings.Repeat("b", 100<<20)}, nil
	case l.lies("refuses"):
		return nil, fmt.Errorf("%s", strings.Repeat("no", 1<<20))
	}
	return &workerpb.HelloResponse{Protocol: 1, Build: "b1"}, nil
}

func (l *liar) Start(_ context.Context, req *workerpb.StartRequest) (*workerpb.StartResponse, error) {
	l.run.Store(&workerpb.Run{Id: req.GetSpec().GetId(), Of: req.GetSpec().GetOf(), StartedAt: 1, Mark: req.GetMark()})
	return &workerpb.StartResponse{StartedAt: 1}, nil
}

func (l *liar) Watch(_ *workerpb.WatchRequest, stream grpc.ServerStreamingServer[workerpb.WatchResponse]) error {
	first := &workerpb.WatchResponse{Watch: 1, Listed: true}
	own := l.run.Load()
	if own != nil {
		first.Runs = []*workerpb.Run{own}
	}
	// claim is another worker's run with the mark of the liar's own run.
	claim := func(id, pod string) *workerpb.Run {
		r := proto.Clone(own).(*workerpb.Run)
		r.Id, r.Of.Pod = id, pod
		return r
	}
	many := func(n int, id string) (runs []*workerpb.Run) {
		for i := range n {
			r := claim(fmt.Sprint(id, i), "pod2")
			r.Exit = &workerpb.Exit{Message: strings.Repeat("x", 4<<10)}
			runs = append(runs, r)
		}
		return runs
	}
	switch {
	case l.lies("claims"):
		ended := claim("r2", "pod2")
		ended.Exit = &workerpb.Exit{Code: 99}
		attempt := claim(own.GetId(), "pod1")
		attempt.Of.Attempt++
		first.Runs = append(first.Runs, ended, claim("r2", "pod1"), claim("r3", "pod2"), claim(own.GetId(), "pod3"), attempt)
	case l.lies("an endless list"):
		for {
			if err := stream.Send(&workerpb.WatchResponse{Watch: 1, Runs: many(256, "r")}); err != nil {
				return err
			}
		}
	case l.lies("a list of its own run"):
		for {
			piece := &workerpb.WatchResponse{Watch: 1}
			for range 256 {
				piece.Runs = append(piece.Runs, own)
			}
			if err := stream.Send(piece); err != nil {
				return err
			}
		}
	case l.lies("a huge message"):
		first.Runs = append(first.Runs, many(20_000, "r")...)
	case l.lies("many functions"):
		first.HostCalls = map[string]uint64{strings.Repeat("f", 1<<20): 1}
		for i := range 10_000 {
			first.HostCalls[fmt.Sprint("f", i)] = 1 << 60
		}
	}
	if err := stream.Send(first); err != nil {
		return err
	}
	if l.lies("endless ends") {
		for {
			ended := claim("r2", "pod2")
			ended.Exit = &workerpb.Exit{Code: 99}
			if err := stream.Send(&workerpb.WatchResponse{Watch: 1, Runs: append(many(100, "claimed"), ended)}); err != nil {
				return err
			}
		}
	}
	<-stream.Context().Done()
	return nil
}

func (l *liar) Stats(context.Context, *workerpb.StatsRequest) (*workerpb.StatsResponse, error) {
	out := &workerpb.StatsResponse{Stats: []*workerpb.Stats{{Id: "r2", Memory: 1 << 62}, {Id: l.run.Load().GetId(), Memory: -5, Cpu: 1 << 62}}}
	if l.lies("huge stats") {
		same := &workerpb.Stats{Id: "r2", Memory: 1} // in the message it has 8 MiB
		for range 1 << 20 {
			out.Stats = append(out.Stats, same)
		}
	}
	return out, nil
}

func (l *liar) HostCalls(context.Context, *workerpb.HostCallsRequest) (*workerpb.HostCallsResponse, error) {
	out := &workerpb.HostCallsResponse{HostCalls: map[string]uint64{"fd_write": 1 << 63}}
	for i := range 10_000 {
		out.HostCalls[fmt.Sprint("f", i)] = 7
	}
	return out, nil
}

func (l *liar) Spans(_ *workerpb.SpansRequest, stream grpc.ServerStreamingServer[workerpb.SpansResponse]) error {
	one := workerpb.HTTPSpan{TraceId: []byte("t"), SpanId: []byte("s"), Path: []byte(strings.Repeat("x", 4<<10))}
	m := &workerpb.SpansResponse{}
	for range 500 {
		for _, run := range []string{"r2", l.run.Load().GetId()} {
			s := proto.Clone(&one).(*workerpb.HTTPSpan)
			s.Run = run
			m.Spans = append(m.Spans, s)
		}
	}
	for {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
}

// TestLyingWorker: a guest has taken control of a worker. The agent starts anyway, needs little
// memory for the worker's messages, and the pods of other workers continue. If the worker keeps to
// the protocol, its own run continues, too.
// docs/security.md: "What it says to the agent is believed of its own containers only, and
// bounded."
func TestLyingWorker(t *testing.T) {
	for lie, stays := range map[string]bool{
		"nothing": true, "claims": true, "endless ends": true, "many functions": true, "huge stats": true,
		"an endless list": false, "a list of its own run": false, "a huge message": false, "silence": false, "another protocol": false,
		"a huge build": false, "refuses": false,
	} {
		t.Run(lie, func(t *testing.T) {
			cfg := config(t, t.TempDir())
			cfg.Patience = 3 * time.Second
			from := filepath.Join(t.TempDir(), "from")
			honest := open(t, cfg)
			own := spec(t, "r2", "pod2", "sleep")
			own.Isolated = true
			mustStart(t, honest, own, runtime.Streams{})
			honest.Close()
			lying := cfg
			lying.Argv = []string{"/proc/self/exe", "worker", "--liar", "--lie=" + lie, "--from=" + from}
			first := open(t, lying)
			mustStart(t, first, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
			first.Close()
			if err := os.WriteFile(from, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			goruntime.GC()
			var before, after goruntime.MemStats
			goruntime.ReadMemStats(&before)
			p := adoptQuickly(t, cfg)
			goesOn(t, p, "r2", "pod2")
			if stays {
				goesOn(t, p, "r1", "pod1")
			}
			if n := len(p.Runs()); n != 1 && !stays || n != 2 && stays {
				t.Errorf("%d runs: %+v", n, p.Runs())
			}
			for range 3 {
				stats := p.Stats(t.Context())
				if got := stats["r2"]; got.Memory != 65536 {
					t.Errorf("of another worker's run it says %+v", got)
				}
				if got := stats["r1"]; got.Memory < 0 || got.CPU > 1<<53 {
					t.Errorf("of its own run it says %+v", got)
				}
				if calls := p.HostCalls(t.Context()); len(calls) > 256 || calls["fd_write"] > 1<<54 {
					t.Errorf("%d functions, fd_write %d", len(calls), calls["fd_write"])
				}
			}
			goesOn(t, p, "r2", "pod2")
			goruntime.GC()
			goruntime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<20 {
				t.Errorf("the agent has %d bytes more", grown)
			}
			mustStart(t, p, spec(t, "r4", "pod4", "sleep"), runtime.Streams{})
		})
	}
}

// TestGarbageInsteadOfAWorker: a worker that does not speak HTTP/2 hosts no guest.
func TestGarbageInsteadOfAWorker(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Argv = []string{"/proc/self/exe", "worker", "--liar", "--lie=garbage"}
	p := open(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := p.Start(ctx, spec(t, "r1", "pod1", "sleep"), runtime.Streams{}); err == nil {
		t.Error("it hosts a guest")
	}
}
