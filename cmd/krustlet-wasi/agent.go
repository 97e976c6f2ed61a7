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

	"github.com/krustlet-go/krustlet-wasi/kubeletapi"
	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/podsync"
	"github.com/krustlet-go/krustlet-wasi/podsync/hostport"
	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	guests "github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/logfile"
	"github.com/krustlet-go/krustlet-wasi/tlsbootstrap"
)

// runAgent is the node: it returns when ctx is cancelled and everything it started has ended, with nil if
// that went cleanly, or earlier with the error that makes it impossible to go on. The data directory exists
// and is locked for this process. The lines that ask for a certificate's approval go to stdout; level is the log's.
func runAgent(ctx context.Context, cfg Config, stdout io.Writer, log *zap.Logger, level zap.AtomicLevel) error {
	listener, err := kubeletapi.Listen(ctx, net.JoinHostPort(cfg.Addr.String(), strconv.Itoa(cfg.Port)))
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // closed already where it was served
	bootstrap := bootstrapConfig(cfg, stdout, log)
	identity, err := tlsbootstrap.Join(ctx, bootstrap)
	if err != nil {
		return err
	}
	client, err := newClient(identity.Config())
	if err != nil {
		return err
	}
	measures := newMeasures(cfg)
	tracer, stopTracing, err := newTracer(ctx, cfg, log.Named("tracing"))
	if err != nil {
		return err
	}
	defer stopTracing()
	bootstrap.Rotated = func(age time.Duration) { measures.rotation.Observe(age.Seconds()) }
	serving, err := tlsbootstrap.NewServing(bootstrap, client)
	if err != nil {
		return err
	}
	engine, closeWorkers, err := newWorkers(ctx, cfg, measures.runtime, tracer, log)
	if err != nil {
		return err
	}
	defer closeWorkers()
	recorder, stopEvents := newRecorder(client, cfg.NodeName)
	defer stopEvents()
	written, stopWatching := newLogEvents(log)
	defer stopWatching()
	images, keys, err := newImages(cfg, client, log)
	if err != nil {
		return err
	}
	defer images.Close()
	ports := hostport.New(cfg.NodeIP, log.Named("hostport"))
	pods, err := newPods(cfg, client, images, keys, engine, recorder, written, ports, measures, tracer, log)
	if err != nil {
		return err
	}
	collector, err := newCollector(cfg, images, pods, recorder, log)
	if err != nil {
		return err
	}
	self, err := newNode(cfg, client, pods, images, recorder, log)
	if err != nil {
		return err
	}
	usage := &usage{Manager: pods, nodeName: cfg.NodeName, dataDir: cfg.DataDir, disks: measures.disks, began: time.Now()}
	measures.watch(engine, pods, serving, usage)
	api, err := newAPI(cfg, client, serving, pods, usage, measures, log, level)
	if err != nil {
		return err
	}
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return identity.Run(ctx) })
	parts.Go(func() error { return serving.Run(ctx) })
	parts.Go(func() error {
		// A node that says for a moment that it is not ready, at each start of its agent, has its pods taken
		// out of service for that moment.
		waitFor(ctx, pods.Synced(), nodePatience)
		return self.Run(ctx)
	})
	parts.Go(func() error { return pods.Run(ctx) })
	parts.Go(func() error { ports.Run(ctx); return nil })
	parts.Go(func() error { return measures.disks.Run(ctx) })
	parts.Go(func() error { return api.Serve(ctx, listener) })
	parts.Go(func() error { collect(ctx, collector, pods.Synced()); return nil })
	return parts.Wait()
}

// nodePatience is how long the node's first status may wait for the first list of pods.
const nodePatience = 10 * time.Second

// waitFor waits until done is closed, ctx ends, or the patience does.
func waitFor(ctx context.Context, done <-chan struct{}, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func bootstrapConfig(cfg Config, stdout io.Writer, log *zap.Logger) tlsbootstrap.Config {
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

// newClient makes the agent's client. It has no limit on its side: the API server's own fairness is what bounds a
// node, and a hundred pods that start together need hundreds of calls.
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

// newRecorder makes what records events, in the name of the node's kubelet.
func newRecorder(client kubernetes.Interface, nodeName string) (recorder record.EventRecorder, stop func()) {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	source := corev1.EventSource{Component: "kubelet", Host: nodeName}
	return broadcaster.NewRecorder(scheme.Scheme, source), broadcaster.Shutdown
}

// newLogEvents makes what tells followers of logs. Where the kernel has none left, each of them has to ask for one.
func newLogEvents(log *zap.Logger) (written *logfile.Watcher, stop func()) {
	written, err := logfile.NewWatcher()
	if err != nil {
		log.Warn("following logs may fail, and costs more", zap.Error(err))
		return nil, func() {}
	}
	return written, func() { _ = written.Close() } // nobody follows a log any more
}

func newPods(cfg Config, client kubernetes.Interface, images *registry.Store, keys *credentials.Source, engine guests.Engine, recorder record.EventRecorder, written *logfile.Watcher, ports *hostport.Node, measures *measures, tracer trace.Tracer, log *zap.Logger) (*podsync.Manager, error) {
	allocatable, err := node.AllocatableResources(cfg.DataDir, cfg.MaxPods)
	if err != nil {
		return nil, err
	}
	return podsync.New(podsync.Settings{
		NodeName:    cfg.NodeName,
		Address:     cfg.NodeIP,
		DataDir:     cfg.DataDir,
		Client:      client,
		Images:      images,
		Credentials: keys,
		Engine:      engine,
		Allocatable: allocatable,
		Events:      recorder,
		Log:         log.Named("podsync"),
		DNS:         podsync.DNS{Servers: cfg.ClusterDNS, Domain: cfg.ClusterDomain, ResolvConf: cfg.ResolvConf},

		PodCIDRs:        cfg.PodCIDRs,
		NodeAddressOnly: cfg.NodeAddressOnly,
		HostPorts:       ports,

		ContainerLogMaxSize:  cfg.ContainerLogMaxSize,
		ContainerLogMaxFiles: cfg.ContainerLogMaxFiles,
		ContainerOutputRate:  cfg.ContainerOutputRate,
		DiskPressure:         func() bool { return underDiskPressure(cfg.DataDir, log) },

		Metrics: measures.pods,
		Probed:  measures.probes,
		Disks:   measures.disks,
		Tracer:  tracer,

		LogsDir:     cfg.PodLogsDir,
		LogLinksDir: cfg.ContainerLogsDir,
		LogEvents:   written,
	}), nil
}

func newNode(cfg Config, client kubernetes.Interface, pods *podsync.Manager, images *registry.Store, recorder record.EventRecorder, log *zap.Logger) (*node.Node, error) {
	return node.New(node.Config{
		Name:             cfg.NodeName,
		Hostname:         cfg.Hostname,
		IP:               cfg.NodeIP.AsSlice(),
		Port:             cfg.Port,
		Labels:           cfg.NodeLabels,
		Taints:           cfg.RegisterWithTaints,
		MaxPods:          cfg.MaxPods,
		DataDir:          cfg.DataDir,
		Version:          programVersion(),
		RuntimeVersion:   "wasmtime://" + engineVersion(),
		RuntimeHandlers:  []string{"", podsync.HandlerShared, podsync.HandlerIsolated},
		DeclaredFeatures: []string{kubeletapi.FeatureWebSockets, podsync.FeatureRestartAll},
		Ready:            pods.Ready,
		Images:           func() []corev1.ContainerImage { return imagesOfNode(images, log) },
	}, client, recorder, log.Named("node"))
}

func newAPI(cfg Config, client kubernetes.Interface, serving *tlsbootstrap.Serving, pods *podsync.Manager, usage *usage, measures *measures, log *zap.Logger, level zap.AtomicLevel) (*kubeletapi.Server, error) {
	ca, err := clientAuthority(cfg)
	if err != nil {
		return nil, err
	}
	log = log.Named("kubeletapi")
	auth, err := kubeletapi.NewAuth(kubeletapi.AuthConfig{
		Client:       client,
		NodeName:     cfg.NodeName,
		ClientCAFile: cfg.ClientCAFile,
		ClientCAData: ca,
		Tokens:       cfg.API.Tokens,
		TokenTTL:     cfg.API.TokenTTL,
		AllowedTTL:   cfg.API.AllowedTTL,
		DeniedTTL:    cfg.API.DeniedTTL,
		Log:          log,
	})
	if err != nil {
		return nil, err
	}
	return kubeletapi.New(kubeletapi.Config{
		GetCertificate: serving.GetCertificate,
		Auth:           auth,
		Pods:           pods,
		Logs:           pods,
		Stats:          usage,
		Metrics:        measures.page,
		ProbeMetrics:   measures.probePage,
		Execs:          pods,
		Attaches:       pods,
		Ports:          pods,
		Health:         pods.Ready,
		TLS:            kubeletapi.TLS{MinVersion: cfg.API.TLSMinVersion, CipherSuites: cfg.API.TLSCipherSuites},
		Configuration:  configurationOf(cfg),
		Profiling:      cfg.API.Profiling,
		SetLogLevel:    levelSetter(cfg, level, log),
		Log:            log,

		StreamIdleTimeout: cfg.StreamIdleTimeout,
	})
}

// clientAuthority is the authority that signs the API server's client certificate, where no flag names
// another: the one that the node's kubeconfig trusts, which in most clusters is the same.
func clientAuthority(cfg Config) ([]byte, error) {
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
