package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/hack/background"
	"github.com/krustlet-go/krustlet-wasi/hack/workers"
)

const (
	nodeName = "nodeconformance"
	// nodeIP is a loopback address whose ports only the tests use.
	nodeIP   = "127.36.3.1"
	nodePort = "3000"
	// openAddresses is where pods may connect to. 127.0.0.1 is the machine for pods in its network.
	openAddresses = "cluster,127.0.0.1," + nodeIP + "," + nameServer
)

// site is everything that the tests need: a cluster, a registry and a node.
type site struct {
	dir      string
	progress io.Writer
	host     string // the registry's host:port

	cluster, names, agent *background.Process
	server                *http.Server
}

func (s *site) open(ctx context.Context) error {
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"making a network", func(context.Context) error { return furnish() }},
		{"starting a cluster", s.startCluster},
		{"starting a name server", s.startNames},
		{"starting a registry", s.startRegistry},
		{"publishing the tests' images for WASI", s.publish},
		{"joining the node", s.join},
	} {
		_, _ = fmt.Fprintln(s.progress, "==", step.title)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.title, err)
		}
	}
	return nil
}

// close ends everything that was started, in reverse order. It keeps the agent's log beside the
// agent's files.
func (s *site) close() error {
	var err error
	if s.agent != nil {
		err = errors.Join(s.agent.Stop(), workers.End(s.dataDir()))
		err = errors.Join(err, os.WriteFile(filepath.Join(s.dir, "agent.log"), []byte(s.agent.Log()), 0o600))
	}
	if s.server != nil {
		err = errors.Join(err, s.server.Close())
	}
	for _, p := range []*background.Process{s.names, s.cluster} {
		if p != nil {
			err = errors.Join(err, p.Stop())
		}
	}
	return err
}

func (s *site) kubeconfig() string { return filepath.Join(s.dir, "cluster", "admin.kubeconfig") }
func (s *site) dataDir() string    { return filepath.Join(s.dir, "krustlet") }

func (s *site) startCluster(ctx context.Context) error {
	var err error
	if s.cluster, err = background.Start(nil, "bin/cluster", "up", "--dir", filepath.Join(s.dir, "cluster")); err != nil {
		return err
	}
	_, err = s.cluster.WaitLine(ctx, "cluster is ready")
	return err
}

// join lets the node join as users do: with a bootstrap token, and with an administrator who
// approves.
func (s *site) join(ctx context.Context) error {
	config := filepath.Join(s.dataDir(), "config")
	if err := s.command(ctx, []string{"CONFIG_DIR=" + config, "KUBECTL=bin/cluster kubectl"}, "hack/bootstrap.sh"); err != nil {
		return err
	}
	var err error
	bootstrap := filepath.Join(config, "bootstrap.conf")
	s.agent, err = background.Start([]string{"KUBECONFIG=" + bootstrap, "HOME=" + s.dir}, "bin/krustlet-wasi",
		"--node-name", nodeName, "--hostname", nodeName, "--node-ip", nodeIP, "--addr", nodeIP, "--port", nodePort,
		"--data-dir", s.dataDir(), "--bootstrap-file", bootstrap, "--register-with-taints=",
		"--node-labels", "kubernetes.io/os=linux", "--cluster-dns", clusterDNS,
		// Tests connect to pods, to Services and to the node, and ask the name server themselves.
		"--default-egress", openAddresses, "--egress-limit", "*,"+openAddresses)
	if err != nil {
		return err
	}
	if _, err := s.agent.WaitLine(ctx, "requires manual approval"); err != nil {
		return err
	}
	if err := s.command(ctx, nil, "bin/cluster", "kubectl", "certificate", "approve", nodeName+"-tls"); err != nil {
		return err
	}
	return s.command(ctx, nil, "bin/cluster", "kubectl", "wait", "--for=condition=Ready", "node/"+nodeName, "--timeout=2m")
}

// command runs a command as the cluster's administrator. The error contains the command's output.
func (s *site) command(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(append(os.Environ(), "KUBECONFIG="+s.kubeconfig()), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}
