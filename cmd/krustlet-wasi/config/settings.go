package config

import (
	"slices"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/logging"
	"github.com/krustlet-go/krustlet-wasi/node"
)

func nodeSettings() []setting {
	return []setting{{
		flag: "node-name", env: "KRUSTLET_NODE_NAME", key: "nodeName", group: groupNode, arg: "NAME",
		usage: "name of the Node object",
		def:   "the hostname in lower case",
		shown: ours(func(c Config) any { return c.NodeName }),
		apply: func(c *Config, g given) error { c.NodeName = g.text; return checkNodeName(g.text) },
	}, {
		flag: "hostname", env: "KRUSTLET_HOSTNAME", key: "hostname", group: groupNode, arg: "NAME",
		usage: "name of the host, in the node's addresses and the serving certificate",
		def:   "the host's own",
		shown: ours(func(c Config) any { return c.Hostname }),
		apply: func(c *Config, g given) error { c.Hostname = g.text; return checkHostname(g.text) },
	}, {
		flag: "node-ip", short: "n", env: "KRUSTLET_NODE_IP", key: "nodeIP", group: groupNode, arg: "IP",
		usage: "address at which the API server reaches this node",
		def:   "the first non-loopback address of the hostname",
		shown: ours(func(c Config) any { return c.NodeIP.String() }),
		apply: func(c *Config, g given) (err error) { c.NodeIP, err = parseNodeIP(g.text); return err },
	}, {
		flag: "pod-cidr", env: "KRUSTLET_POD_CIDR", key: "podCIDR", group: groupNode, arg: "CIDR,...", kind: list,
		usage: "addresses for pods where the Node has no podCIDR, one range of IPv4, of IPv6 or of each; none: pods have the node's address",
		def:   "the Node's podCIDRs, else the node's address",
		shown: slices.Concat(kubelet("podCIDR", podCIDROf), ours(podCIDRsOf)),
		apply: func(c *Config, g given) (err error) {
			c.PodCIDRs, c.NodeAddressOnly, err = parsePodCIDRs(g.items)
			return err
		},
	}, {
		flag: "node-labels", env: "NODE_LABELS", key: "nodeLabels", group: groupNode, arg: "KEY=VALUE,...", kind: object,
		usage: "labels to put on the node besides its own",
		def:   "none",
		shown: ours(func(c Config) any { return c.NodeLabels }),
		apply: func(c *Config, g given) (err error) { c.NodeLabels, err = parseLabels(g.items); return err },
	}, {
		flag: "register-with-taints", env: "KRUSTLET_REGISTER_WITH_TAINTS", key: "registerWithTaints", group: groupNode, arg: "KEY=VALUE:EFFECT,...", kind: list,
		usage: "taints the node registers with, instead of its own; empty for none",
		def:   "kubernetes.io/arch=wasm32-wasi, NoSchedule and NoExecute",
		shown: kubelet("registerWithTaints", taintsOf),
		apply: func(c *Config, g given) (err error) { c.RegisterWithTaints, err = parseTaints(g.items); return err },
	}, {
		flag: "max-pods", env: "MAX_PODS", key: "maxPods", group: groupNode, arg: "N", kind: number,
		usage: "most pods the node takes, 1 to 65535",
		def:   "110",
		shown: kubelet("maxPods", func(c Config) any { return c.MaxPods }),
		apply: func(c *Config, g given) (err error) {
			c.MaxPods, err = parseNumber(g.text, "a number of pods")
			return err
		},
	}, {
		flag: "eviction-hard", env: "KRUSTLET_EVICTION_HARD", key: "evictionHard", group: groupNode, arg: "SIGNAL<VALUE,...", kind: object,
		usage: "how little may be left of memory, disk, inodes and threads before pods are evicted; empty: none are",
		def:   "memory.available<100Mi, nodefs.available<10% (at most 5Gi), nodefs.inodesFree<5%, pid.available<5%",
		shown: kubelet("evictionHard", thresholdsOf),
		apply: func(c *Config, g given) (err error) { c.EvictionHard, err = node.ParseThresholds(g.items); return err },
	}, {
		flag: "eviction-pressure-transition-period", env: "KRUSTLET_EVICTION_PRESSURE_TRANSITION_PERIOD", key: "evictionPressureTransitionPeriod", group: groupNode, arg: "DURATION",
		usage: "how long the node says that it is under pressure after that has ended",
		def:   "5m",
		shown: kubelet("evictionPressureTransitionPeriod", func(c Config) any { return c.PressureTransition.String() }),
		apply: func(c *Config, g given) (err error) { c.PressureTransition, err = ParseDuration(g.text); return err },
	}}
}

func serverSettings() []setting {
	return []setting{{
		flag: "addr", short: "a", env: "KRUSTLET_ADDRESS", key: "listenerAddress", group: groupServer, arg: "IP",
		usage: "address to listen on",
		def:   "0.0.0.0",
		shown: kubelet("address", func(c Config) any { return c.Addr.String() }),
		apply: func(c *Config, g given) (err error) { c.Addr, err = parseListenIP(g.text); return err },
	}, {
		flag: "port", short: "p", env: "KRUSTLET_PORT", key: "listenerPort", group: groupServer, arg: "PORT", kind: number,
		usage: "TCP port to listen on, 1 to 65535",
		def:   "3000",
		shown: kubelet("port", func(c Config) any { return c.Port }),
		apply: func(c *Config, g given) (err error) { c.Port, err = parseNumber(g.text, "a port"); return err },
	}, {
		flag: "cert-file", env: "KRUSTLET_CERT_FILE", key: "tlsCertificateFile", group: groupServer, arg: "FILE",
		usage: "serving certificate (PEM); requested from the cluster and written there if it does not exist",
		def:   "DATA/config/krustlet.crt",
		shown: kubelet("tlsCertFile", func(c Config) any { return c.CertFile }),
		apply: func(c *Config, g given) (err error) { c.CertFile, err = parsePath(g.text); return err },
	}, {
		flag: "private-key-file", env: "KRUSTLET_PRIVATE_KEY_FILE", key: "tlsPrivateKeyFile", group: groupServer, arg: "FILE",
		usage: "private key of the serving certificate (PEM)",
		def:   "DATA/config/krustlet.key",
		shown: kubelet("tlsPrivateKeyFile", func(c Config) any { return c.PrivateKeyFile }),
		apply: func(c *Config, g given) (err error) { c.PrivateKeyFile, err = parsePath(g.text); return err },
	}, {
		flag: "client-ca-file", env: "KRUSTLET_CLIENT_CA_FILE", key: "clientCAFile", group: groupServer, arg: "FILE",
		usage: "certificate authorities (PEM) whose client certificates may call the kubelet API",
		def:   "the authority in the node's kubeconfig",
		shown: kubelet("authentication.x509.clientCAFile", func(c Config) any { return c.ClientCAFile }),
		apply: func(c *Config, g given) (err error) { c.ClientCAFile, err = parsePath(g.text); return err },
	}, {
		flag: "streaming-connection-idle-timeout", env: "KRUSTLET_STREAMING_CONNECTION_IDLE_TIMEOUT", key: "streamingConnectionIdleTimeout", group: groupServer, arg: "DURATION",
		usage: "how long a connection of exec, attach or port-forward may be silent before it is closed: 30m, 4h; 0 for ever",
		def:   "4h",
		shown: kubelet("streamingConnectionIdleTimeout", func(c Config) any { return c.StreamIdleTimeout.String() }),
		apply: func(c *Config, g given) (err error) { c.StreamIdleTimeout, err = parseIdleTimeout(g.text); return err },
	}}
}

func clusterSettings() []setting {
	return []setting{{
		flag: "bootstrap-file", env: "KRUSTLET_BOOTSTRAP_FILE", key: "bootstrapFile", group: groupCluster, arg: "FILE",
		usage: "kubeconfig with the bootstrap token, read while the node has no kubeconfig of its own; never written",
		def:   defaultBootstrapFile,
		shown: ours(func(c Config) any { return c.BootstrapFile }),
		apply: func(c *Config, g given) (err error) { c.BootstrapFile, err = parsePath(g.text); return err },
	}, {
		env: "KUBECONFIG", group: groupCluster, arg: "FILE",
		usage: "the node's own kubeconfig, written once the node has joined; if it names the bootstrap file, the default is used instead",
		def:   "DATA/config/kubeconfig",
		shown: oursAs("kubeconfig", func(c Config) any { return c.Kubeconfig }),
		apply: func(c *Config, g given) (err error) { c.Kubeconfig, err = parseKubeconfig(g.text); return err },
	}}
}

func storageSettings() []setting {
	return []setting{{
		flag: "config", env: "KRUSTLET_CONFIG", group: groupStorage, arg: "FILE",
		usage: "configuration file (JSON); it must exist if it is named here",
		def:   "$HOME/.krustlet/config/config.json, if there is one",
		// The file is read before any setting is applied. See loader.readFile.
		notShown: "the settings of the file are shown one by one",
		apply:    func(*Config, given) error { return nil },
	}, {
		flag: "data-dir", env: "KRUSTLET_DATA_DIR", key: "dataDir", group: groupStorage, arg: "DIR",
		usage: "directory for all that the node keeps (DATA): credentials, modules, volumes, logs",
		def:   "$HOME/.krustlet",
		shown: ours(func(c Config) any { return c.DataDir }),
		apply: func(c *Config, g given) (err error) { c.DataDir, err = parsePath(g.text); return err },
	}, {
		flag: "pod-logs-dir", env: "KRUSTLET_POD_LOGS_DIR", key: "podLogsDir", group: groupStorage, arg: "DIR",
		usage: "directory of the containers' logs, by pods; others may have logs there, too",
		def:   "DATA/logs",
		shown: kubelet("podLogsDir", func(c Config) any { return c.PodLogsDir }),
		apply: func(c *Config, g given) (err error) { c.PodLogsDir, err = parsePath(g.text); return err },
	}, {
		flag: "container-logs-dir", env: "KRUSTLET_CONTAINER_LOGS_DIR", key: "containerLogsDir", group: groupStorage, arg: "DIR",
		usage: "directory for links to the containers' logs, POD_NAMESPACE_CONTAINER-ID.log, as log shippers look for them",
		def:   "none",
		shown: ours(func(c Config) any { return c.ContainerLogsDir }),
		apply: func(c *Config, g given) (err error) { c.ContainerLogsDir, err = parsePath(g.text); return err },
	}, {
		flag: "plugins-dir", env: "KRUSTLET_PLUGINS_DIR", key: "pluginsDir", group: groupStorage, arg: "DIR",
		usage: "directory of plugin sockets (not used yet)",
		def:   "DATA/plugins",
		shown: ours(func(c Config) any { return c.PluginsDir }),
		apply: func(c *Config, g given) (err error) { c.PluginsDir, err = parsePath(g.text); return err },
	}, {
		flag: "device-plugins-dir", env: "KRUSTLET_DEVICE_PLUGINS_DIR", key: "devicePluginsDir", group: groupStorage, arg: "DIR",
		usage: "directory of device plugin sockets (not used yet)",
		def:   "DATA/device_plugins",
		shown: ours(func(c Config) any { return c.DevicePluginsDir }),
		apply: func(c *Config, g given) (err error) { c.DevicePluginsDir, err = parsePath(g.text); return err },
	}}
}

func guestSettings() []setting {
	return []setting{{
		flag: "workers", env: "KRUSTLET_WORKERS", key: "workers", group: groupGuests, arg: "N", kind: number,
		usage: "processes that share the node's containers, 1 to 64",
		def:   "1",
		shown: ours(func(c Config) any { return c.Workers }),
		apply: func(c *Config, g given) (err error) { c.Workers, err = parseWorkers(g.text); return err },
	}, {
		flag: "container-log-max-size", env: "KRUSTLET_CONTAINER_LOG_MAX_SIZE", key: "containerLogMaxSize", group: groupGuests, arg: "BYTES",
		usage: "size at which a container's log file is rotated: 512Ki, 10Mi",
		def:   "10Mi",
		shown: kubelet("containerLogMaxSize", func(c Config) any { return quantity(c.ContainerLogMaxSize) }),
		apply: func(c *Config, g given) (err error) {
			c.ContainerLogMaxSize, err = ParseBytes(g.text, "log", "10Mi")
			return err
		},
	}, {
		flag: "container-log-max-files", env: "KRUSTLET_CONTAINER_LOG_MAX_FILES", key: "containerLogMaxFiles", group: groupGuests, arg: "N", kind: number,
		usage: "most log files that are kept of a container's run, the one that is written included, 2 to 65535",
		def:   "5",
		shown: kubelet("containerLogMaxFiles", func(c Config) any { return c.ContainerLogMaxFiles }),
		apply: func(c *Config, g given) (err error) { c.ContainerLogMaxFiles, err = parseLogFiles(g.text); return err },
	}, {
		flag: "container-output-rate", env: "KRUSTLET_CONTAINER_OUTPUT_RATE", key: "containerOutputRate", group: groupGuests, arg: "BYTES",
		usage: "most bytes that a container may print a second: 64Ki, 10Mi; it is held back beyond that",
		def:   "no limit",
		shown: ours(func(c Config) any { return c.ContainerOutputRate }),
		apply: func(c *Config, g given) (err error) {
			c.ContainerOutputRate, err = ParseBytes(g.text, "output", "10Mi")
			return err
		},
	}, {
		flag: "x-allow-unsafe-engine", env: "KRUSTLET_ALLOW_UNSAFE_ENGINE", key: "allowUnsafeEngine", group: groupGuests, arg: "true|false", kind: boolean,
		usage: "run containers with an engine that lets them out: wasmtime 39 on arm64",
		def:   "false",
		shown: ours(func(c Config) any { return c.AllowUnsafeEngine }),
		apply: func(c *Config, g given) (err error) { c.AllowUnsafeEngine, err = ParseBool(g.text); return err },
	}}
}

func tracingSettings() []setting {
	return []setting{{
		flag: "tracing-endpoint", env: "KRUSTLET_TRACING_ENDPOINT", key: "tracingEndpoint", group: groupTracing, arg: "HOST:PORT",
		usage: "OpenTelemetry collector (OTLP over gRPC, without TLS) to send traces of the way of pods to",
		def:   "none",
		shown: kubelet("tracing.endpoint", tracingOf(func(c Config) any { return c.TracingEndpoint })),
		apply: func(c *Config, g given) (err error) { c.TracingEndpoint, err = parseEndpoint(g.text); return err },
	}, {
		flag: "tracing-sampling-rate-per-million", env: "KRUSTLET_TRACING_SAMPLING_RATE_PER_MILLION", key: "tracingSamplingRatePerMillion",
		group: groupTracing, arg: "N", kind: number,
		usage: "how many of a million traces are sent, 0 to 1000000",
		def:   "1000000",
		shown: kubelet("tracing.samplingRatePerMillion", tracingOf(func(c Config) any { return c.TracingSamplingRatePerMillion })),
		apply: func(c *Config, g given) (err error) {
			c.TracingSamplingRatePerMillion, err = parseSamplingRate(g.text)
			return err
		},
	}}
}

func nameSettings() []setting {
	return []setting{{
		flag: "cluster-dns", env: "KRUSTLET_CLUSTER_DNS", key: "clusterDNS", group: groupNames, arg: "IP,...", kind: list,
		usage: "name servers of the cluster, for pods with the DNS policy ClusterFirst",
		def:   "none: these pods have the node's",
		shown: kubelet("clusterDNS", func(c Config) any { return texts(c.ClusterDNS) }),
		apply: func(c *Config, g given) (err error) { c.ClusterDNS, err = parseNameservers(g.items); return err },
	}, {
		flag: "cluster-domain", env: "KRUSTLET_CLUSTER_DOMAIN", key: "clusterDomain", group: groupNames, arg: "DOMAIN",
		usage: "domain of the cluster's services; empty for none",
		def:   defaultClusterDomain,
		shown: kubelet("clusterDomain", func(c Config) any { return c.ClusterDomain }),
		apply: func(c *Config, g given) (err error) { c.ClusterDomain, err = parseDomain(g.text); return err },
	}, {
		flag: "resolv-conf", env: "KRUSTLET_RESOLV_CONF", key: "resolvConf", group: groupNames, arg: "FILE",
		usage: "the node's resolv.conf, from which those of pods are made; empty for none",
		def:   defaultResolvConf,
		shown: kubelet("resolvConf", func(c Config) any { return c.ResolvConf }),
		apply: func(c *Config, g given) (err error) {
			if c.ResolvConf = ""; g.text != "" {
				c.ResolvConf, err = parsePath(g.text)
			}
			return err
		},
	}}
}

func logSettings() []setting {
	return []setting{{
		flag: "log-level", env: "KRUSTLET_LOG_LEVEL", key: "logLevel", group: groupLogs, arg: "LEVEL",
		usage: "least level that is logged: debug, info, warn or error",
		def:   "info",
		shown: ours(func(c Config) any { return c.LogLevel.String() }),
		apply: func(c *Config, g given) (err error) { c.LogLevel, err = logging.ParseLevel(g.text); return err },
	}, {
		flag: "log-format", env: "KRUSTLET_LOG_FORMAT", key: "logFormat", group: groupLogs, arg: "FORMAT",
		usage: "form of the log on standard error: console or json",
		def:   "console if standard error is a terminal, else json",
		shown: kubelet("logging.format", logFormatOf),
		apply: func(c *Config, g given) (err error) { c.LogFormat, err = logging.ParseForm(g.text); return err },
	}}
}
