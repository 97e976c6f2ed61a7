package pool_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
)

// agentMain is an agent. Its first argument is the workers' folder. Each other argument is a run:
// the ID, the log, and the arguments. It starts the runs, reports that they run, and does not exit.
func agentMain(args []string) int {
	p, err := pool.Open(context.Background(), pool.Config{
		Dir: args[0], Build: "b1", Argv: []string{"/proc/self/exe", "worker", "--build=b1"}, Shards: 1,
		Compiler: compilerFunc(func(context.Context, string, string, string) error { return nil }), Log: zap.NewNop(),
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, arg := range args[1:] {
		words := strings.Fields(arg)
		s := runtime.Spec{
			ID: words[0], Of: runtime.Origin{Pod: "pod1", Container: words[0]}, Module: "/module.wasm", Digest: "sha256:00",
			Log: words[1], Command: runtime.Command{Args: words[2:]},
		}
		if s.Args[0] == "slow" || s.Args[0] == "stubborn" {
			go func() { _, _ = p.Start(context.Background(), s, runtime.Streams{}) }()
			continue
		}
		if s.Args[0] == "command" {
			s.Of.Container = ""
		}
		if _, err := p.Start(context.Background(), s, runtime.Streams{}); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	fmt.Println("running")
	select {}
}

// startAgent starts an agent in a separate process, waits until its runs run, and returns a
// function that kills it.
func startAgent(tb testing.TB, dir string, runs ...string) (kill func()) {
	tb.Helper()
	cmd := exec.Command("/proc/self/exe", append([]string{"agent", dir}, runs...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "running\n" {
		kill()
		tb.Fatalf("the agent says %q", line)
	}
	return kill
}
