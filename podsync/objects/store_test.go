package objects

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// source is an API server that answers slowly and counts the reads.
type source struct {
	*fake.Clientset
	mu    sync.Mutex
	reads int
	fail  error
}

func newSource(objects ...kruntime.Object) *source {
	s := &source{Clientset: fake.NewClientset(objects...)}
	s.PrependReactor("get", "*", func(clienttesting.Action) (bool, kruntime.Object, error) {
		time.Sleep(time.Second)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reads++
		return s.fail != nil, nil, s.fail
	})
	return s
}

func (s *source) set(t *testing.T, value string) {
	t.Helper()
	if _, err := s.CoreV1().ConfigMaps("ns").Update(t.Context(), configMap(value, false), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func configMap(value string, immutable bool) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c"}, Data: map[string]string{"k": value}, Immutable: &immutable,
	}
}

func value(t *testing.T, get func(context.Context, string, string) (*corev1.ConfigMap, error)) string {
	t.Helper()
	o, err := get(t.Context(), "ns", "c")
	if err != nil {
		t.Error(err)
		return ""
	}
	return o.Data["k"]
}

func TestManyAskersOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newSource(configMap("1", false))
		store := New(api)
		var askers sync.WaitGroup
		for range 50 {
			askers.Go(func() {
				if got := value(t, store.ConfigMap); got != "1" {
					t.Errorf("got %q", got)
				}
			})
		}
		askers.Wait()
		if api.reads != 1 {
			t.Errorf("%d reads", api.reads)
		}
	})
}

func TestKeptForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newSource(configMap("1", false))
		store := New(api)
		value(t, store.ConfigMap)
		api.set(t, "2")
		time.Sleep(10 * time.Second)
		if got := value(t, store.ConfigMap); got != "1" || api.reads != 1 {
			t.Errorf("after 10 s %q by %d reads", got, api.reads)
		}
		if got := value(t, store.FreshConfigMap); got != "2" {
			t.Errorf("fresh is %q", got)
		}
		api.set(t, "3")
		time.Sleep(21 * time.Second)
		if got := value(t, store.ConfigMap); got != "3" {
			t.Errorf("after 21 s %q", got)
		}
	})
}

// TestFreshIsNotFromBefore: a read that began before the call may have an older object, so a fresh
// call does not use it.
func TestFreshIsNotFromBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newSource(configMap("1", false))
		store := New(api)
		var askers sync.WaitGroup
		askers.Go(func() { value(t, store.ConfigMap) })
		time.Sleep(time.Millisecond)
		for range 20 {
			askers.Go(func() { value(t, store.FreshConfigMap) })
		}
		askers.Wait()
		if api.reads != 2 {
			t.Errorf("%d reads, want the one from before and one for all who came after it began", api.reads)
		}
	})
}

func TestImmutableIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newSource(configMap("1", true))
		store := New(api)
		for range 10 {
			value(t, store.ConfigMap)
			time.Sleep(time.Minute)
		}
		if api.reads != 1 {
			t.Errorf("%d reads", api.reads)
		}
		value(t, store.FreshConfigMap)
		if api.reads != 2 {
			t.Errorf("fresh: %d reads", api.reads)
		}
		time.Sleep(time.Hour)
		store.Secret(t.Context(), "ns", "none")
		store.ConfigMap(t.Context(), "ns", "other")
		if n := len(store.configMaps.entries); n != 1 {
			t.Errorf("%d entries are kept that no caller asks for", n-1)
		}
	})
}

func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newSource()
		store := New(api)
		if _, err := store.Secret(t.Context(), "ns", "none"); !apierrors.IsNotFound(err) || err.Error() != `secret "none" not found` {
			t.Errorf("%v", err)
		}
		if store.Secret(t.Context(), "ns", "none"); api.reads != 1 {
			t.Errorf("%d reads of what does not exist", api.reads)
		}
		api.fail = errors.New("away")
		if _, err := store.FreshSecret(t.Context(), "ns", "none"); !errors.Is(err, api.fail) {
			t.Errorf("%v", err)
		}
		api.fail = nil
		time.Sleep(time.Minute)
		if _, err := store.Secret(t.Context(), "ns", "none"); !apierrors.IsNotFound(err) {
			t.Errorf("a passing error is kept: %v", err)
		}
	})
}

// TestForbiddenForAMoment: the API server may not yet let a node read for a pod that is very new.
func TestForbiddenForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := New(fake.NewClientset())
		allowed, reads := time.Now().Add(200*time.Millisecond), 0
		store.configMaps.read = func(context.Context, string, string) (*corev1.ConfigMap, error) {
			reads++
			if time.Now().Before(allowed) {
				return nil, apierrors.NewForbidden(corev1.Resource("configmaps"), "c", nil)
			}
			return configMap("1", false), nil
		}
		if v := value(t, store.FreshConfigMap); v != "1" {
			t.Errorf("%q", v)
		}
		allowed, reads = time.Now().Add(time.Hour), 0
		if _, err := store.FreshConfigMap(t.Context(), "ns", "c"); !apierrors.IsForbidden(err) || reads > 10 {
			t.Errorf("%v after %d reads", err, reads)
		}
	})
}

// TestOneGivesUp: if the context of the caller that reads ends, the other callers still get the
// object.
func TestOneGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := New(fake.NewClientset())
		reads := 0
		store.configMaps.read = func(ctx context.Context, _, _ string) (*corev1.ConfigMap, error) {
			reads++
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Second):
				return configMap("1", false), nil
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		gaveUp := make(chan error)
		go func() {
			_, err := store.ConfigMap(ctx, "ns", "c")
			gaveUp <- err
		}()
		synctest.Wait()
		got := make(chan string)
		go func() { got <- value(t, store.ConfigMap) }()
		if err := <-gaveUp; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if v := <-got; v != "1" || reads != 2 {
			t.Errorf("%q after %d reads", v, reads)
		}
	})
}
