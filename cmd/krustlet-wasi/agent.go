package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/logging"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/access"
	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/podsync"
	"github.com/krustlet-go/krustlet-wasi/podsync/hostport"
	"github.com/krustlet-go/krustlet-wasi/podsync/life"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
	"github.com/krustlet-go/krustlet-wasi/tlsbootstrap"
)

// agent holds the parts of the node. A field is set before the first part that needs it is made.
type agent struct {
	cfg       config.Config
	log       *zap.Logger
	level     zap.AtomicLevel // the level of log
	files     descriptors
	client    kubernetes.Interface
	measures  *measures
	tracer    trace.Tracer
	requests  podsync.RequestTraces
	events    record.EventRecorder
	written   *logfile.Watcher // nil if the kernel has no watcher left
	images    *registry.Store
	keys      *credentials.Source
	workers   *pool.Pool
	network   *clusterNetwork
	ports     *hostport.Node
	pressure  *node.Pressure
	pods      *podsync.Manager
	collector *registry.Collector
	serving   *tlsbootstrap.Serving
	usage     *usage
}

// runAgent runs the node. It returns nil when ctx is cancelled and everything that it started has
// ended without an error. If it cannot go on, it returns an error earlier. The data directory
// exists and is locked for this process. runAgent writes to stdout the lines that ask a user to
// approve a certificate. level is the log's.
func runAgent(ctx context.Context, cfg config.Config, stdout io.Writer, log *zap.Logger, level zap.AtomicLevel) error {
	listener, err := kubeletapi.Listen(ctx, net.JoinHostPort(cfg.Addr.String(), strconv.Itoa(cfg.Port)))
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // already closed if a server used it
	defer boundGarbage(ctx)()
	bootstrap := bootstrapConfig(cfg, stdout, log)
	identity, err := tlsbootstrap.Join(ctx, bootstrap)
	if err != nil {
		return err
	}
	a := &agent{cfg: cfg, log: log, level: level, measures: newMeasures(cfg)}
	if a.files, err = newDescriptors(cfg, log); err != nil {
		return err
	}
	if a.client, err = newClient(identity.Config()); err != nil {
		return err
	}
	var stopTracing, closeWorkers, stopEvents, stopWatching func()
	if a.tracer, a.requests, stopTracing, err = newTracer(ctx, cfg, log.Named("tracing")); err != nil {
		return err
	}
	defer stopTracing()
	bootstrap.Rotated = func(age time.Duration) { a.measures.rotation.Observe(age.Seconds()) }
	if a.serving, err = tlsbootstrap.NewServing(bootstrap, a.client); err != nil {
		return err
	}
	a.network = newClusterNetwork(cfg, a.client, log)
	if a.workers, closeWorkers, err = newWorkers(ctx, cfg, a.network, a.measures.runtime, a.tracer, log); err != nil {
		return err
	}
	defer closeWorkers()
	a.events, stopEvents = newRecorder(a.client, cfg.NodeName)
	defer stopEvents()
	a.written, stopWatching = newLogEvents(log)
	defer stopWatching()
	if a.images, a.keys, err = newImages(cfg, a.client, log); err != nil {
		return err
	}
	defer a.images.Close()
	a.pressure = node.NewPressure(cfg.DataDir, cfg.EvictionHard, cfg.PressureTransition)
	a.ports = hostport.New(cfg.NodeIP, a.files.hostPorts, a.network, log.Named("hostport"))
	if a.pods, err = a.newPods(); err != nil {
		return err
	}
	a.network.pods.Store(a.pods)
	if a.collector, err = a.newCollector(); err != nil {
		return err
	}
	self, err := a.newNode()
	if err != nil {
		return err
	}
	a.usage = &usage{Manager: a.pods, nodeName: cfg.NodeName, dataDir: cfg.DataDir, disks: a.measures.disks, began: time.Now()}
	a.measures.watch(a.workers, a.pods, a.serving, a.usage)
	api, err := a.newAPI()
	if err != nil {
		return err
	}
	a.measures.page.MustRegister(api.Connections())
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return identity.Run(ctx) })
	parts.Go(func() error { return a.serving.Run(ctx) })
	parts.Go(func() error {
		// If the node were not ready for a moment at each start of its agent, its pods would get no
		// traffic for that moment.
		waitFor(ctx, a.pods.Synced(), nodePatience)
		return self.Run(ctx)
	})
	parts.Go(func() error { a.network.Run(ctx); return nil })
	parts.Go(func() error { a.network.review(ctx, a.ports.Review); return nil })
	parts.Go(func() error { return a.pods.Run(ctx) })
	parts.Go(func() error { a.ports.Run(ctx); return nil })
	parts.Go(func() error { return a.measures.disks.Run(ctx) })
	parts.Go(func() error { return api.Serve(ctx, listener) })
	parts.Go(func() error { collect(ctx, a.collector, a.pods.Synced()); return nil })
	return parts.Wait()
}

// nodePatience is how long the node's first status may wait for the first list of pods.
const nodePatience = 10 * time.Second

// waitFor waits until done is closed, ctx ends, or patience is over.
func waitFor(ctx context.Context, done <-chan struct{}, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func bootstrapConfig(cfg config.Config, stdout io.Writer, log *zap.Logger) tlsbootstrap.Config {
	return tlsbootstrap.Config{
		BootstrapFile: cfg.BootstrapFile,
		Kubeconfig:    cfg.Kubeconfig,
		NodeName:      cfg.NodeName,
		Hostname:      cfg.Hostname,
		IPs:           []net.IP{cfg.NodeIP.AsSlice()},
		CertFile:      cfg.CertFile,
		KeyFile:       cfg.PrivateKeyFile,
		Stdout:        stdout,
		Log:           log.Named("tlsbootstrap"),
	}
}

// newClient makes the agent's client. It has no rate limit of its own: the API server is fair to
// its clients, and a hundred pods that start together need hundreds of calls.
func newClient(config *rest.Config) (kubernetes.Interface, error) {
	config.QPS = -1
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	config.UserAgent = "krustlet-wasi/" + programVersion()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client for the API server: %w", err)
	}
	return client, nil
}

// newRecorder makes a recorder of events. The events name the node's kubelet as their source.
func newRecorder(client kubernetes.Interface, nodeName string) (recorder record.EventRecorder, stop func()) {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	source := corev1.EventSource{Component: "kubelet", Host: nodeName}
	return broadcaster.NewRecorder(scheme.Scheme, source), broadcaster.Shutdown
}

// newLogEvents makes the watcher that tells followers of logs that there is more to read. If the
// kernel has no watcher left, each follower must ask for one of its own.
func newLogEvents(log *zap.Logger) (written *logfile.Watcher, stop func()) {
	written, err := logfile.NewWatcher()
	if err != nil {
		log.Warn("following logs may fail, and costs more", zap.Error(err))
		return nil, func() {}
	}
	return written, func() { _ = written.Close() } // no client follows a log any more
}

func (a *agent) newPods() (*podsync.Manager, error) {
	allocatable, err := node.AllocatableResources(a.cfg.MaxPods, a.pressure)
	if err != nil {
		return nil, err
	}
	return podsync.New(podsync.Settings{
		NodeName:    a.cfg.NodeName,
		Address:     a.cfg.NodeIP,
		DataDir:     a.cfg.DataDir,
		Client:      a.client,
		Images:      a.images,
		Credentials: a.keys,
		Engine:      a.workers,
		Allocatable: allocatable,
		Events:      a.events,
		Log:         a.log.Named("podsync"),
		DNS:         podfiles.DNS{Servers: a.cfg.ClusterDNS, Domain: a.cfg.ClusterDomain, ResolvConf: a.cfg.ResolvConf},

		PodCIDRs:        a.cfg.PodCIDRs,
		NodeAddressOnly: a.cfg.NodeAddressOnly,
		HostPorts:       a.ports,

		EgressLimit:   a.cfg.EgressLimit,
		DefaultEgress: a.cfg.DefaultEgress,
		Cluster:       a.network,

		ContainerLogMaxSize:  a.cfg.ContainerLogMaxSize,
		ContainerLogMaxFiles: a.cfg.ContainerLogMaxFiles,
		ContainerOutputRate:  a.cfg.ContainerOutputRate,

		Pressure: a.pressure,
		FreeDisk: a.freeImages,

		Metrics: a.measures.pods,
		Probed:  a.measures.probes,
		Disks:   a.measures.disks,
		Tracer:  a.tracer,

		Requests: a.requests,

		LogsDir:     a.cfg.PodLogsDir,
		LogLinksDir: a.cfg.ContainerLogsDir,
		LogEvents:   a.written,
	}), nil
}

func (a *agent) newNode() (*node.Node, error) {
	return node.New(node.Config{
		Name:             a.cfg.NodeName,
		Hostname:         a.cfg.Hostname,
		IP:               a.cfg.NodeIP.AsSlice(),
		Port:             a.cfg.Port,
		Labels:           a.cfg.NodeLabels,
		Taints:           a.cfg.RegisterWithTaints,
		MaxPods:          a.cfg.MaxPods,
		DataDir:          a.cfg.DataDir,
		Version:          programVersion(),
		RuntimeVersion:   "wasmtime://" + wasmtime.Version,
		RuntimeHandlers:  []string{"", podsync.HandlerShared, podsync.HandlerIsolated},
		DeclaredFeatures: []string{kubeletapi.FeatureWebSockets, life.FeatureRestartAll},
		Ready:            a.pods.Ready,
		Pressure:         a.pressure,
		Conditions:       a.network.Conditions,
		Images:           func() []corev1.ContainerImage { return imagesOfNode(a.images, a.log) },
	}, a.client, a.events, a.log.Named("node"))
}

func (a *agent) newAPI() (*kubeletapi.Server, error) {
	ca, err := clientAuthority(a.cfg)
	if err != nil {
		return nil, err
	}
	log := a.log.Named("kubeletapi")
	auth, err := access.New(access.Config{
		Client:       a.client,
		NodeName:     a.cfg.NodeName,
		ClientCAFile: a.cfg.ClientCAFile,
		ClientCAData: ca,
		Tokens:       a.cfg.API.Tokens,
		TokenTTL:     a.cfg.API.TokenTTL,
		AllowedTTL:   a.cfg.API.AllowedTTL,
		DeniedTTL:    a.cfg.API.DeniedTTL,
		Log:          log,
	})
	if err != nil {
		return nil, err
	}
	return kubeletapi.New(kubeletapi.Config{
		GetCertificate: a.serving.GetCertificate,
		Auth:           auth,
		Pods:           a.pods,
		Logs:           a.pods,
		Stats:          a.usage,
		Metrics:        a.measures.page,
		ProbeMetrics:   a.measures.probePage,
		Execs:          a.pods,
		Attaches:       a.pods,
		Ports:          a.pods,
		Health:         a.pods.Ready,
		TLS:            kubeletapi.TLS{MinVersion: a.cfg.API.TLSMinVersion, CipherSuites: a.cfg.API.TLSCipherSuites},
		Configuration:  a.cfg.Shown(),
		Profiling:      a.cfg.API.Profiling,
		SetLogLevel:    logging.LevelSetter(a.cfg.API.DebugFlags, a.level, log),
		Log:            log,

		Connections: a.files.connections,
		Readers:     a.files.readers,
		Forwards:    a.files.forwards,

		StreamIdleTimeout: a.cfg.StreamIdleTimeout,
	})
}

// clientAuthority is the authority that signs the API server's client certificate. If no flag names
// one, it is the authority that the node's kubeconfig trusts. In most clusters both are the same.
func clientAuthority(cfg config.Config) ([]byte, error) {
	if cfg.ClientCAFile != "" {
		return nil, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", cfg.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the node's kubeconfig %s: %w", cfg.Kubeconfig, err)
	}
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, fmt.Errorf("reading what the node's kubeconfig %s names: %w", cfg.Kubeconfig, err)
	}
	if len(config.CAData) == 0 {
		return nil, errors.New("no authority for the clients of the kubelet API: the node's kubeconfig has none; name one with --client-ca-file")
	}
	return config.CAData, nil
}
