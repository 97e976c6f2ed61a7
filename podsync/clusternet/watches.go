package clusternet

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/krustlet-go/krustlet-wasi/podsync/informer"
	"github.com/krustlet-go/krustlet-wasi/podsync/netpolicy"
	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// forbiddenPause is how long the node waits before it asks again for a list that is forbidden.
// Without it, all nodes of a cluster without the ClusterRole would ask all the time.
const forbiddenPause = 20 * time.Second

// kind is one kind of objects that are watched: what is known of its list. Cluster.mu guards it.
type kind struct {
	resource  string
	listed    bool // the first list is there
	forbidden bool // the API server forbade the last list
}

// there reports whether there is no list to wait for.
func (k *kind) there() bool { return k.listed || k.forbidden }

// note takes the result of a list or of the start of a watch. A kind that the API server does not
// have counts as forbidden.
func (c *Cluster) note(k *kind, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	forbidden := apierrors.IsForbidden(err) || apierrors.IsNotFound(err)
	if err != nil && !forbidden || k.forbidden == forbidden {
		return
	}
	k.forbidden = forbidden
	if forbidden {
		c.cfg.Log.Warn("the node may not watch what its network needs: give it the ClusterRole of docs/networkpolicy.md", zap.String("resource", k.resource), zap.Error(err))
	}
	c.touch()
}

func (c *Cluster) isForbidden(k *kind) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return k.forbidden
}

// follow watches a kind until ctx ends. keep returns what is kept of an object, which must not be
// the object itself. The functions of the handler are called with Cluster.mu held.
func follow[F any, T metav1.Object](ctx context.Context, c *Cluster, k *kind, list func(context.Context, metav1.ListOptions) ([]F, metav1.ListMeta, error),
	watchThem func(context.Context, metav1.ListOptions) (watch.Interface, error), keep func(*F) T, handler informer.Handler[T],
) {
	source := informer.ListWatch[T]{
		List: func(ctx context.Context, opts metav1.ListOptions) ([]T, metav1.ListMeta, error) {
			if c.isForbidden(k) {
				if err := pause.For(ctx, forbiddenPause/2+rand.N(forbiddenPause)); err != nil {
					return nil, metav1.ListMeta{}, err
				}
			}
			items, meta, err := list(ctx, opts)
			if c.note(k, err); err != nil {
				return nil, metav1.ListMeta{}, err
			}
			all := make([]T, len(items))
			for i := range items {
				all[i] = keep(&items[i])
			}
			return all, meta, nil
		},
		Watch: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			events, err := watchThem(ctx, opts)
			if err != nil {
				c.note(k, err)
				return nil, err
			}
			return watch.Filter(events, func(e watch.Event) (watch.Event, bool) {
				if object, is := any(e.Object).(*F); is {
					e.Object = any(keep(object)).(runtime.Object) //nolint:forcetypeassert // all kinds are
				}
				return e, true
			}), nil
		},
	}
	locked := informer.Handler[T]{
		Set: func(old, new T) {
			c.mu.Lock()
			defer c.mu.Unlock()
			handler.Set(old, new)
			c.touch()
		},
		Delete: func(last T) {
			c.mu.Lock()
			defer c.mu.Unlock()
			handler.Delete(last)
			c.touch()
		},
	}
	i := informer.New(source, locked, c.cfg.Log.With(zap.String("resource", k.resource)))
	var work sync.WaitGroup
	work.Go(func() {
		if i.WaitForSync(ctx) == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			k.listed = true
			c.touch()
		}
	})
	if err := i.Run(ctx); err != nil {
		c.cfg.Log.Error("cannot watch", zap.String("resource", k.resource), zap.Error(err))
	}
	work.Wait()
}

// meta is what is kept of all objects.
func meta(of *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: of.Namespace, Name: of.Name, UID: of.UID, ResourceVersion: of.ResourceVersion}
}

func (c *Cluster) followPolicies(ctx context.Context) {
	policies := c.cfg.Client.NetworkingV1().NetworkPolicies(metav1.NamespaceAll)
	list := func(ctx context.Context, opts metav1.ListOptions) ([]networkingv1.NetworkPolicy, metav1.ListMeta, error) {
		l, err := policies.List(ctx, opts)
		if err != nil {
			return nil, metav1.ListMeta{}, err
		}
		return l.Items, l.ListMeta, nil
	}
	keep := func(p *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{ObjectMeta: meta(&p.ObjectMeta), Spec: p.Spec}
	}
	follow(ctx, c, &c.policies, list, policies.Watch, keep, informer.Handler[*networkingv1.NetworkPolicy]{
		Set:    func(_, p *networkingv1.NetworkPolicy) { c.index.SetPolicy(p) },
		Delete: c.index.DeletePolicy,
	})
}

func (c *Cluster) followNamespaces(ctx context.Context) {
	namespaces := c.cfg.Client.CoreV1().Namespaces()
	list := func(ctx context.Context, opts metav1.ListOptions) ([]corev1.Namespace, metav1.ListMeta, error) {
		l, err := namespaces.List(ctx, opts)
		if err != nil {
			return nil, metav1.ListMeta{}, err
		}
		return l.Items, l.ListMeta, nil
	}
	keep := func(ns *corev1.Namespace) *corev1.Namespace {
		kept := &corev1.Namespace{ObjectMeta: meta(&ns.ObjectMeta)}
		kept.Labels, kept.Annotations = ns.Labels, ns.Annotations
		delete(kept.Annotations, corev1.LastAppliedConfigAnnotation)
		return kept
	}
	follow(ctx, c, &c.namespaces, list, namespaces.Watch, keep, informer.Handler[*corev1.Namespace]{
		Set: func(_, ns *corev1.Namespace) {
			c.byName[ns.Name] = ns
			c.index.SetNamespace(ns.Name, ns.Labels)
		},
		Delete: func(ns *corev1.Namespace) {
			delete(c.byName, ns.Name)
			c.index.DeleteNamespace(ns.Name)
		},
	})
}

// followPods watches the pods of other nodes. Those of this node are told by SetPod.
func (c *Cluster) followPods(ctx context.Context) {
	pods := c.cfg.Client.CoreV1().Pods(metav1.NamespaceAll)
	others := fields.OneTermNotEqualSelector("spec.nodeName", c.cfg.Node).String()
	list := func(ctx context.Context, opts metav1.ListOptions) ([]corev1.Pod, metav1.ListMeta, error) {
		opts.FieldSelector = others
		l, err := pods.List(ctx, opts)
		if err != nil {
			return nil, metav1.ListMeta{}, err
		}
		return l.Items, l.ListMeta, nil
	}
	watchThem := func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
		opts.FieldSelector = others
		return pods.Watch(ctx, opts)
	}
	follow(ctx, c, &c.pods, list, watchThem, netpolicy.PodOf, informer.Handler[*netpolicy.Pod]{
		Set: func(_, p *netpolicy.Pod) { c.index.SetPod(p) },
		Delete: func(p *netpolicy.Pod) {
			c.index.DeletePod(p.Namespace, p.UID)
		},
	})
}

func (c *Cluster) followSlices(ctx context.Context) {
	endpoints := c.cfg.Client.DiscoveryV1().EndpointSlices(metav1.NamespaceAll)
	list := func(ctx context.Context, opts metav1.ListOptions) ([]discoveryv1.EndpointSlice, metav1.ListMeta, error) {
		l, err := endpoints.List(ctx, opts)
		if err != nil {
			return nil, metav1.ListMeta{}, err
		}
		return l.Items, l.ListMeta, nil
	}
	keep := func(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
		kept := &discoveryv1.EndpointSlice{ObjectMeta: meta(&s.ObjectMeta), AddressType: s.AddressType, Ports: s.Ports, Endpoints: s.Endpoints}
		kept.Labels = map[string]string{discoveryv1.LabelServiceName: s.Labels[discoveryv1.LabelServiceName]}
		return kept
	}
	c.mu.Lock()
	own := c.slices
	c.mu.Unlock()
	follow(ctx, c, own, list, endpoints.Watch, keep, informer.Handler[*discoveryv1.EndpointSlice]{
		Set: func(old, s *discoveryv1.EndpointSlice) {
			if c.slices == own { // an earlier watch may not have ended yet
				c.table.SetSlice(old, s)
			}
		},
		Delete: func(s *discoveryv1.EndpointSlice) {
			if c.slices == own {
				c.table.DeleteSlice(s)
			}
		},
	})
}

// followNodes watches the ranges of addresses of all nodes' pods. own is for this Node alone, which
// the node may read in any cluster.
func (c *Cluster) followNodes(ctx context.Context, k *kind, own bool) {
	nodes := c.cfg.Client.CoreV1().Nodes()
	selector := ""
	if own {
		selector = fields.OneTermEqualSelector("metadata.name", c.cfg.Node).String()
	}
	list := func(ctx context.Context, opts metav1.ListOptions) ([]corev1.Node, metav1.ListMeta, error) {
		opts.FieldSelector = selector
		l, err := nodes.List(ctx, opts)
		if err != nil {
			return nil, metav1.ListMeta{}, err
		}
		return l.Items, l.ListMeta, nil
	}
	watchThem := func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
		opts.FieldSelector = selector
		return nodes.Watch(ctx, opts)
	}
	keep := func(n *corev1.Node) *corev1.Node {
		kept := &corev1.Node{ObjectMeta: meta(&n.ObjectMeta), Spec: corev1.NodeSpec{PodCIDRs: n.Spec.PodCIDRs}}
		kept.Labels = map[string]string{corev1.LabelTopologyZone: n.Labels[corev1.LabelTopologyZone]}
		return kept
	}
	follow(ctx, c, k, list, watchThem, keep, informer.Handler[*corev1.Node]{
		Set: func(_, n *corev1.Node) {
			if own {
				c.table.SetZone(n.Labels[corev1.LabelTopologyZone])
			}
			c.ranges["node "+n.Name] = parseRanges(n.Spec.PodCIDRs)
		},
		Delete: func(n *corev1.Node) { delete(c.ranges, "node "+n.Name) },
	})
}

func (c *Cluster) followServiceCIDRs(ctx context.Context) {
	ranges := c.cfg.Client.NetworkingV1().ServiceCIDRs()
	list := func(ctx context.Context, opts metav1.ListOptions) ([]networkingv1.ServiceCIDR, metav1.ListMeta, error) {
		l, err := ranges.List(ctx, opts)
		if err != nil {
			return nil, metav1.ListMeta{}, err
		}
		return l.Items, l.ListMeta, nil
	}
	keep := func(r *networkingv1.ServiceCIDR) *networkingv1.ServiceCIDR {
		return &networkingv1.ServiceCIDR{ObjectMeta: meta(&r.ObjectMeta), Spec: r.Spec}
	}
	follow(ctx, c, &c.serviceCIDRs, list, ranges.Watch, keep, informer.Handler[*networkingv1.ServiceCIDR]{
		Set:    func(_, r *networkingv1.ServiceCIDR) { c.ranges["services "+r.Name] = parseRanges(r.Spec.CIDRs) },
		Delete: func(r *networkingv1.ServiceCIDR) { delete(c.ranges, "services "+r.Name) },
	})
}
