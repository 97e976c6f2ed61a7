package testcluster

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Cluster is a running control plane. Several tests may call its methods at the same time.
type Cluster struct {
	process    *process
	dir        string
	kubeconfig string
	config     *rest.Config
	client     kubernetes.Interface
}

// shared is the only cluster of the test binary.
var shared struct {
	sync.Mutex
	cluster *Cluster
	err     error
}

// Main runs the tests. If one of them started the cluster, Main stops it. It returns the exit code
// for TestMain.
func Main(m *testing.M) int {
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil {
		return code
	}
	if err := shared.cluster.process.stop(); err != nil {
		fmt.Println("testcluster: stopping the cluster:", err)
		return max(code, 1)
	}
	return code
}

// Start returns the test binary's cluster. The first call starts it. If the start fails, it is not
// tried again: every test that needs the cluster fails.
func Start(t testing.TB) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil && shared.err == nil {
		shared.cluster, shared.err = newCluster()
	}
	if shared.err != nil {
		t.Fatalf("testcluster: %v", shared.err)
	}
	return shared.cluster
}

func newCluster() (*Cluster, error) {
	// The cluster itself must make the folder, so that it also removes it.
	dir := filepath.Join(os.TempDir(), "krustlet-cluster-"+strings.ToLower(rand.Text()[:10]))
	process, err := startProcess("--dir", dir, "--until-stdin-closes")
	if err != nil {
		return nil, err
	}
	c := &Cluster{process: process, dir: dir, kubeconfig: process.kubeconfig}
	if err := c.connect(); err != nil {
		_ = process.stop()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		return fmt.Errorf("reading the cluster's kubeconfig: %w", err)
	}
	config.QPS = -1
	c.config = config
	c.client, err = kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client for the cluster: %w", err)
	}
	return nil
}

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// Config is the configuration of an administrator's client, without a rate limit. The caller owns
// it.
func (c *Cluster) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Client is a client with this Config.
func (c *Cluster) Client() kubernetes.Interface { return c.client }

// Dir is the cluster's folder. pki/ca.crt and pki/ca.key are its certificate authority.
// kube-apiserver.pid has the API server's process ID, and kube-apiserver.log is its log. The same
// files exist for etcd, kube-controller-manager and kube-scheduler. A component that exits is
// started again after one second.
func (c *Cluster) Dir() string { return c.dir }
