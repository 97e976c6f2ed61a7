package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	ocilayout "github.com/google/go-containerregistry/pkg/registry"

	"github.com/krustlet-go/krustlet-wasi/hack/background"
	"github.com/krustlet-go/krustlet-wasi/hack/workers"
	"github.com/krustlet-go/krustlet-wasi/registry"
)

const nodeName = "wasi-demo"

// demo is the state that the steps share. All its files are below dir. close removes them.
type demo struct {
	dir        string
	kubeconfig string // the administrator's
	registry   string // host:port
	images     []image

	cluster, agent *background.Process
	server         *http.Server
}

// image is an image with a guest, in the registry.
type image struct{ pod, ref string }

func newDemo() (*demo, error) {
	for _, file := range []string{"bin/cluster", "bin/krustlet-wasi", "hack/bootstrap.sh"} {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("%s is not here: run `make demo` in the repository's root", file)
		}
	}
	dir, err := os.MkdirTemp("", "krustlet-demo-")
	if err != nil {
		return nil, err
	}
	return &demo{dir: dir, kubeconfig: filepath.Join(dir, "cluster", "admin.kubeconfig")}, nil
}

// close ends everything that was started, in reverse order, and removes the files.
func (d *demo) close() error {
	err := errors.Join(d.agent.Stop(), workers.End(d.dataDir()), d.cluster.Stop())
	if d.server != nil {
		err = errors.Join(err, d.server.Close())
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}

func (d *demo) agentLog() string {
	if d.agent == nil {
		return ""
	}
	return "\nThe node's log:\n" + d.agent.Log()
}

func (d *demo) startCluster(ctx context.Context) error {
	var err error
	d.cluster, err = start(nil, "bin/cluster", "up", "--dir", filepath.Join(d.dir, "cluster"))
	if err != nil {
		return err
	}
	if err := waitLine(ctx, d.cluster, "ready"); err != nil {
		return err
	}
	fmt.Println("$ export KUBECONFIG=" + d.kubeconfig)
	return os.Setenv("KUBECONFIG", d.kubeconfig) // for the next commands
}

func (d *demo) publishGuests(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.registry = listener.Addr().String()
	d.server = &http.Server{Handler: ocilayout.New(ocilayout.Logger(quiet)), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = d.server.Serve(listener) }() // close ends it

	goGuest := filepath.Join(d.dir, "hello-go.wasm")
	if err := command(ctx, []string{"GOOS=wasip1", "GOARCH=wasm"}, "go", "build", "-o", goGuest, "./hack/guests/hello").run(); err != nil {
		return err
	}
	if err := d.publish(ctx, "hello-go", goGuest); err != nil {
		return err
	}
	return d.publishC(ctx)
}

// publishC adds a guest in C if there is a compiler for it.
func (d *demo) publishC(ctx context.Context) error {
	if _, err := exec.LookPath("clang"); err != nil {
		fmt.Println("(no guest in C: clang is not installed; on Debian: clang lld wasi-libc libclang-rt-14-dev-wasm32)")
		return nil
	}
	out := filepath.Join(d.dir, "hello-c.wasm")
	if err := command(ctx, nil, "clang", "--target=wasm32-wasi", "--sysroot=/usr", "-O2", "-o", out, "hack/guests/c/hello.c").run(); err != nil {
		fmt.Println("(no guest in C: clang cannot build for WASI here; on Debian: lld wasi-libc libclang-rt-14-dev-wasm32)")
		return nil
	}
	return d.publish(ctx, "hello-c", out)
}

func (d *demo) publish(ctx context.Context, name, file string) error {
	module, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	ref := d.registry + "/" + name + ":v1"
	id, err := registry.Push(ctx, ref, module, registry.PushConfig{})
	if err != nil {
		return err
	}
	fmt.Printf("published %s (%d bytes) as %s\n", name, len(module), id)
	d.images = append(d.images, image{name, ref})
	return nil
}

func (d *demo) bootstrap(ctx context.Context) error {
	return command(ctx, []string{
		"CONFIG_DIR=" + d.config(), "KUBECTL=bin/cluster kubectl",
	}, "hack/bootstrap.sh").run()
}

func (d *demo) dataDir() string { return filepath.Join(d.dir, "krustlet") }

func (d *demo) config() string { return filepath.Join(d.dir, "config") }

func (d *demo) join(ctx context.Context) error {
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	file := filepath.Join(d.config(), "bootstrap.conf")
	d.agent, err = start([]string{"KUBECONFIG=" + file}, "bin/krustlet-wasi",
		"--node-ip", "127.0.0.1", "--addr", "127.0.0.1", "--port", port, "--bootstrap-file", file,
		"--node-name", nodeName, "--hostname", nodeName, "--data-dir", d.dataDir())
	if err != nil {
		return err
	}
	if err := waitLine(ctx, d.agent, "requires manual approval"); err != nil {
		return err
	}
	if err := d.kubectl(ctx, "certificate", "approve", nodeName+"-tls").run(); err != nil {
		return err
	}
	if err := waitLine(ctx, d.agent, "received TLS certificate approval"); err != nil {
		return err
	}
	return d.kubectl(ctx, "wait", "--for=condition=Ready", "node/"+nodeName, "--timeout=2m").run()
}

// freePort is 3000, the tutorials' port, if that is free.
func freePort(ctx context.Context) (string, error) {
	for _, at := range []string{"127.0.0.1:3000", "127.0.0.1:0"} {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at)
		if err != nil {
			continue
		}
		_, port, err := net.SplitHostPort(listener.Addr().String())
		return port, errors.Join(err, listener.Close())
	}
	return "", errors.New("no port of 127.0.0.1 is free")
}

const manifest = `apiVersion: v1
kind: Pod
metadata:
  name: %s
spec:
  containers:
  - name: hello
    image: %s
  nodeSelector:
    kubernetes.io/arch: wasm32-wasi
  tolerations:
  - key: kubernetes.io/arch
    operator: Equal
    value: wasm32-wasi
    effect: NoSchedule
  - key: kubernetes.io/arch
    operator: Equal
    value: wasm32-wasi
    effect: NoExecute
  terminationGracePeriodSeconds: 1
`

func (d *demo) runPod(ctx context.Context) error {
	// The default service account is made a moment after the cluster. Until then the API server
	// refuses pods.
	if err := d.kubectl(ctx, "wait", "--for=create", "serviceaccount/default", "--timeout=1m").quietly(); err != nil {
		return err
	}
	for _, i := range d.images {
		text := fmt.Sprintf(manifest, i.pod, i.ref)
		file := filepath.Join(d.dir, i.pod+".yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
		fmt.Printf("$ cat %s\n%s", file, text)
		if err := d.kubectl(ctx, "apply", "-f", file).run(); err != nil {
			return err
		}
	}
	for _, i := range d.images {
		if err := d.kubectl(ctx, "wait", "--for=condition=Ready", "pod/"+i.pod, "--timeout=3m").run(); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) look(ctx context.Context) error {
	if err := d.kubectl(ctx, "get", "nodes", "-o", "wide").run(); err != nil {
		return err
	}
	if err := d.kubectl(ctx, "get", "pods").run(); err != nil {
		return err
	}
	for _, i := range d.images {
		if err := d.follow(ctx, i.pod); err != nil {
			return err
		}
	}
	return nil
}

// follow prints a pod's log until a few lines have arrived.
func (d *demo) follow(ctx context.Context, pod string) error {
	const lines = 3
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := d.kubectl(ctx, "logs", "-f", pod)
	c.print()
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	c.cmd.Stderr = os.Stderr
	if err := c.cmd.Start(); err != nil {
		return err
	}
	defer func() { _ = c.cmd.Wait() }() // cancel ends it
	defer cancel()
	scanner := bufio.NewScanner(out)
	for n := 0; n < lines; n++ {
		if !scanner.Scan() {
			rest, _ := io.ReadAll(out)
			return fmt.Errorf("the log of %s ended: %w %s", pod, scanner.Err(), rest)
		}
		fmt.Println(scanner.Text())
		if !strings.Contains(scanner.Text(), "hello from WebAssembly") {
			return fmt.Errorf("the log of %s is not the guest's", pod)
		}
	}
	return nil
}

func (d *demo) kubectl(ctx context.Context, args ...string) cmd {
	return command(ctx, nil, "bin/cluster", append([]string{"kubectl"}, args...)...)
}
