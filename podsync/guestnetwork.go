package podsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/egress"
)

// Cluster knows what the cluster says of the network of the node's pods.
type Cluster interface {
	// SetPod tells of a pod of this node, with its present status, and DeletePod of its end. They
	// do not wait.
	SetPod(pod *corev1.Pod)
	DeletePod(uid types.UID)
	// SetService and DeleteService tell of the Services of the cluster, and ServicesListed that all
	// of the first list were told.
	SetService(s *corev1.Service)
	DeleteService(s *corev1.Service)
	ServicesListed()
	// Await waits until the rules of the network are complete, so that guests of the pod can start.
	// The pod connects to something if connects is set. The error says what is missing.
	Await(ctx context.Context, connects bool) error
	// Namespace returns a Namespace, or nil if the node may not read it or there is none.
	Namespace(name string) *corev1.Namespace
	// Rules are what NetworkPolicies mean for a pod now.
	Rules(uid types.UID) runtime.PodRules
}

// clusterWait is how long a container waits for the rules of the network, before it reports an
// error.
const clusterWait = 10 * time.Second

// mostRootFiles bounds how many files with certificates of authorities a guest has.
const mostRootFiles = 64

func (s *Settings) hostFiles() podfiles.HostFiles {
	return podfiles.HostFiles{Etc: "/etc", DNS: s.DNS}
}

// guestNetwork is what the guests of a pod have of the network when they start. It waits until the
// rules of the cluster are complete.
func (w *podActions) guestNetwork(ctx context.Context, pod *corev1.Pod, at podspec.Reach) (runtime.Network, error) {
	says, err := podspec.EgressOf(pod)
	if err != nil {
		return runtime.Network{}, err
	}
	n := runtime.Network{Addresses: at.Pod, Own: at.Own, Ports: podspec.NamedPorts(pod), MaxRequests: says.MaxRequests}
	if n.Egress, err = w.node.egress(says); err != nil {
		return runtime.Network{}, err
	}
	if err := w.addCluster(ctx, &n, pod); err != nil {
		return runtime.Network{}, err
	}
	if n.Names, err = w.node.hostFiles().Names(pod, at.Pod); err != nil {
		return runtime.Network{}, fmt.Errorf("making the container's resolv.conf: %w", err)
	}
	n.Roots, err = w.rootFiles(ctx, pod, says.Roots)
	return n, err
}

// egress is the egress of a pod, without the ceiling of its namespace.
func (s *Settings) egress(says podspec.Egress) (runtime.Egress, error) {
	e := runtime.Egress{Limits: []string{s.EgressLimit}, Allow: s.DefaultEgress, Audit: says.Audit, Domain: s.DNS.Domain}
	if says.Given {
		if _, err := egress.Parse(says.List); err != nil {
			return runtime.Egress{}, fmt.Errorf("reading annotation %s: %w", podspec.EgressAnnotation(), err)
		}
		e.Allow = says.List
	}
	return e, nil
}

// addCluster adds the ceiling of the pod's namespace, and what NetworkPolicies mean for the pod.
func (w *podActions) addCluster(ctx context.Context, n *runtime.Network, pod *corev1.Pod) error {
	cluster := w.node.Cluster
	if cluster == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, clusterWait)
	defer cancel()
	if err := cluster.Await(ctx, strings.TrimSpace(n.Egress.Allow) != ""); err != nil {
		return fmt.Errorf("waiting for the rules of the network: %w", err)
	}
	if ns := cluster.Namespace(pod.Namespace); ns != nil {
		if annotation, limit, given := podspec.EgressLimit(ns); given {
			if _, err := egress.Parse(limit); err != nil {
				return fmt.Errorf("reading annotation %s of the namespace: %w", annotation, err)
			}
			n.Egress.Limits = append(n.Egress.Limits, limit)
		}
	}
	n.Rules = cluster.Rules(pod.UID)
	return nil
}

// rootFiles are the files of the volumes with certificates of authorities. Names that begin with a
// dot are not of the volume's content.
func (w *podActions) rootFiles(ctx context.Context, pod *corev1.Pod, volumes []string) (files []string, err error) {
	for _, name := range volumes {
		dir, err := w.folder(ctx, pod, name)
		if err != nil {
			return nil, fmt.Errorf("looking for the certificates of authorities: %w", err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("looking for the certificates of authorities: %w", err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
	}
	if len(files) > mostRootFiles {
		return nil, fmt.Errorf("looking for the certificates of authorities: the volumes have %d files, and %d are the most", len(files), mostRootFiles)
	}
	if len(volumes) > 0 && len(files) == 0 {
		return nil, errors.New("looking for the certificates of authorities: the volumes have no files")
	}
	return files, nil
}
