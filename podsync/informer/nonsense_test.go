package informer_test

import (
	"context"
	"maps"
	"net/http"
	goruntime "runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/podsync/informer"
	"github.com/krustlet-go/krustlet-wasi/tlsbootstrap"
)

// TestNonsense: the API server sends invalid answers for a while. The informer does not ask too
// often, reports nothing false, and uses bounded memory. When the answers are valid again, it goes
// on.
func TestNonsense(t *testing.T) {
	cluster := testcluster.Start(t)
	gateway := cluster.Gateway(t)
	s := &setup{
		listener: &listener{t: t, now: map[types.UID]*corev1.ConfigMap{}, names: map[string]types.UID{}, changed: make(chan struct{})},
		client:   cluster.Client(), namespace: cluster.Namespace(t),
	}
	config := cluster.Config()
	config.Host = gateway.URL()
	tlsbootstrap.BoundAnswers(config)
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	configMaps := client.CoreV1().ConfigMaps(s.namespace)
	const selector = "metadata.name!=kube-root-ca.crt"
	s.informer = informer.New(informer.ListWatch[*corev1.ConfigMap]{
		List: func(ctx context.Context, opts metav1.ListOptions) ([]*corev1.ConfigMap, metav1.ListMeta, error) {
			opts.FieldSelector = selector
			list, err := configMaps.List(ctx, opts)
			if err != nil {
				return nil, metav1.ListMeta{}, err
			}
			return informer.Pointers(list.Items), list.ListMeta, nil
		},
		Watch: func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			opts.FieldSelector = selector
			return configMaps.Watch(ctx, opts)
		},
	}, informer.Handler[*corev1.ConfigMap]{Set: s.set, Delete: s.delete}, zap.NewNop())
	s.run()
	s.write("stays", "0")
	s.expect("set stays 0")
	all := testcluster.Faults()
	for round, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			var before, after goruntime.MemStats
			goruntime.ReadMemStats(&before)
			met := make(chan struct{})
			var once sync.Once
			gateway.Break(func(w http.ResponseWriter, r *http.Request) bool {
				once.Do(func() { close(met) })
				return all[name](w, r)
			})
			s.write("stays", name[:1]+string(rune('a'+round)))
			select {
			case <-met:
			case <-time.After(2 * soon):
				t.Fatalf("it asked for nothing in %v", 2*soon)
			}
			asked := gateway.Served()
			<-time.NewTimer(2 * time.Second).C // how long the fault lasts
			goruntime.ReadMemStats(&after)
			if n := gateway.Served() - asked; n > 200 {
				t.Errorf("it asked %d times in 2 s", n)
			}
			if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 600<<20 {
				t.Errorf("it took %d MiB", grown>>20)
			}
			gateway.Mend()
			s.told(t, "stays", name[:1]+string(rune('a'+round)))
		})
	}
}

// told waits until the informer knows the object with this value. Invalid answers, such as an empty
// list, may have removed the object and added it again.
func (s *setup) told(t *testing.T, name, value string) {
	t.Helper()
	timeout := time.After(2 * soon)
	for {
		s.mu.Lock()
		object, changed := s.now[s.names[name]], s.changed
		s.heard = nil
		s.mu.Unlock()
		if object != nil && object.Data["value"] == value {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("%v after the API server is well again, %q is %v", 2*soon, name, object)
		}
	}
}
