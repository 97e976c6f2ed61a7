package controlplane

import (
	"fmt"
	"strconv"
)

const (
	serviceCIDR = "10.96.0.0/16"

	schedulerConfig = "kube-scheduler.yaml"
	// volumePlugins is a folder that stays empty. The controller manager makes it, by default
	// outside the cluster's folder.
	volumePlugins = "volume-plugins"

	// How many requests per second the controller manager and the scheduler may send. With their
	// defaults of 20 and 50, bursts of pods would measure them, not the node.
	clientQPS   = 200
	clientBurst = 400

	// autoscalerPeriod is how often each HorizontalPodAutoscaler looks at its pods, which is every 15
	// seconds by default. The metrics server has new figures seldom enough.
	autoscalerPeriod = "1s"
)

// ports are the ports on which the components listen.
type ports struct {
	etcd, apiServer, controllerManager, scheduler port
}

// takePorts takes the ports. The API server gets the one that the user wants.
func takePorts(apiServer int) (ports, error) {
	var p ports
	var err error
	if p.apiServer, err = takePort(apiServer); err != nil {
		return ports{}, err
	}
	for _, free := range []*port{&p.etcd, &p.controllerManager, &p.scheduler} {
		if *free, err = takeFreePort(); err != nil {
			p.close()
			return ports{}, err
		}
	}
	return p, nil
}

func (p ports) close() {
	for _, each := range []port{p.etcd, p.apiServer, p.controllerManager, p.scheduler} {
		each.close()
	}
}

// etcdArguments are for a single member with one client, the API server.
func etcdArguments(w *workdir, p ports) []string {
	pki := func(name string) string { return w.join("pki", name) }
	client := p.etcd.url()
	// The member has no peers, but it demands an address for them.
	peer := port{}.url()
	return []string{
		"--name=default",
		"--data-dir=" + w.join("etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--socket-reuse-port=" + strconv.FormatBool(p.etcd.shared()),
		"--cert-file=" + pki("etcd-server.crt"),
		"--key-file=" + pki("etcd-server.key"),
		"--trusted-ca-file=" + pki("etcd-ca.crt"),
		"--client-cert-auth=true",
		"--peer-cert-file=" + pki("etcd-server.crt"),
		"--peer-key-file=" + pki("etcd-server.key"),
		"--peer-trusted-ca-file=" + pki("etcd-ca.crt"),
		"--peer-client-cert-auth=true",
		// The data is needed only as long as this cluster runs, so a power failure loses nothing
		// more.
		"--unsafe-no-fsync=true",
		"--log-level=warn",
	}
}

func apiServerArguments(w *workdir, p ports) []string {
	pki := func(name string) string { return w.join("pki", name) }
	return []string{
		"--bind-address=" + loopback,
		"--advertise-address=" + loopback,
		"--secure-port=" + strconv.Itoa(p.apiServer.number),
		"--permit-port-sharing=" + strconv.FormatBool(p.apiServer.shared()),
		// The kubernetes service would have to lead to a loopback address. Endpoints may not have
		// one.
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + pki("kube-apiserver.crt"),
		"--tls-private-key-file=" + pki("kube-apiserver.key"),
		"--client-ca-file=" + pki("ca.crt"),
		"--etcd-servers=" + p.etcd.url(),
		"--etcd-cafile=" + pki("etcd-ca.crt"),
		"--etcd-certfile=" + pki("etcd-client.crt"),
		"--etcd-keyfile=" + pki("etcd-client.key"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--enable-bootstrap-token-auth=true",
		"--allow-privileged=true",
		"--service-cluster-ip-range=" + serviceCIDR,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + pki("sa.key"),
		"--service-account-signing-key-file=" + pki("sa.key"),
		"--kubelet-certificate-authority=" + pki("ca.crt"),
		"--kubelet-client-certificate=" + pki("kube-apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + pki("kube-apiserver-kubelet-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=" + frontProxyUser,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + pki("front-proxy-client.crt"),
		"--proxy-client-key-file=" + pki("front-proxy-client.key"),
		"--profiling=false",
	}
}

func controllerManagerArguments(w *workdir, p ports, pods podRange) []string {
	pki := func(name string) string { return w.join("pki", name) }
	return []string{
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(p.controllerManager.number),
		"--permit-port-sharing=" + strconv.FormatBool(p.controllerManager.shared()),
		"--tls-cert-file=" + pki("kube-controller-manager.crt"),
		"--tls-private-key-file=" + pki("kube-controller-manager.key"),
		"--kubeconfig=" + pki("kube-controller-manager.kubeconfig"),
		"--kube-api-qps=" + strconv.Itoa(clientQPS),
		"--kube-api-burst=" + strconv.Itoa(clientBurst),
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--controllers=*,bootstrapsigner,tokencleaner",
		"--root-ca-file=" + pki("ca.crt"),
		"--service-account-private-key-file=" + pki("sa.key"),
		"--cluster-signing-cert-file=" + pki("ca.crt"),
		"--cluster-signing-key-file=" + pki("ca.key"),
		"--flex-volume-plugin-dir=" + w.join(volumePlugins),
		"--allocate-node-cidrs=true",
		"--cluster-cidr=" + pods.String(),
		"--node-cidr-mask-size=" + strconv.Itoa(nodeMask),
		"--service-cluster-ip-range=" + serviceCIDR,
		"--horizontal-pod-autoscaler-sync-period=" + autoscalerPeriod,
		"--profiling=false",
	}
}

func schedulerArguments(w *workdir, p ports) []string {
	return []string{
		"--bind-address=" + loopback,
		"--secure-port=" + strconv.Itoa(p.scheduler.number),
		"--permit-port-sharing=" + strconv.FormatBool(p.scheduler.shared()),
		"--tls-cert-file=" + w.join("pki", "kube-scheduler.crt"),
		"--tls-private-key-file=" + w.join("pki", "kube-scheduler.key"),
		"--config=" + w.join(schedulerConfig),
	}
}

// schedulerConfiguration is the file with the scheduler's settings that have no flag.
func schedulerConfiguration(w *workdir) []byte {
	return fmt.Appendf(nil, `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  kubeconfig: %q
  qps: %d
  burst: %d
leaderElection:
  leaderElect: false
enableProfiling: false
`, w.join("pki", "kube-scheduler.kubeconfig"), clientQPS, clientBurst)
}
