package testcluster

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const kubectlTimeout = 2 * time.Minute

// Kubectl runs kubectl as the administrator and returns its standard output. If kubectl fails or
// takes longer than two minutes, the test fails.
func (c *Cluster) Kubectl(t testing.TB, args ...string) string {
	t.Helper()
	// Not the test's context: that has ended when clean-up functions run.
	ctx, cancel := context.WithTimeout(context.Background(), kubectlTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(), append([]string{"kubectl"}, args...)...)
	cmd.Env = append(os.Environ(),
		"KUBECONFIG="+c.kubeconfig,
		// By default the cache is in the home folder, by address. There it would outlive the
		// cluster, and mislead the next cluster with the same port.
		"KUBECACHEDIR="+filepath.Join(c.dir, "kubectl-cache"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String()
}
