package informer

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

func pod(name, uid string, version int) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: name, UID: types.UID(uid), ResourceVersion: strconv.Itoa(version),
	}}
}

func added(p *corev1.Pod) watch.Event    { return watch.Event{Type: watch.Added, Object: p} }
func modified(p *corev1.Pod) watch.Event { return watch.Event{Type: watch.Modified, Object: p} }
func deleted(p *corev1.Pod) watch.Event  { return watch.Event{Type: watch.Deleted, Object: p} }
func bookmark(version int) watch.Event {
	return watch.Event{Type: watch.Bookmark, Object: &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{ResourceVersion: strconv.Itoa(version)}}}
}

func failure(status apierrors.APIStatus) watch.Event {
	s := status.Status()
	return watch.Event{Type: watch.Error, Object: &s}
}

// describe writes a change as "set a/1@5" (new), "set a/1@5<-4", "delete a/1@5":
// name, UID and resourceVersion.
func describe(c change[*corev1.Pod]) string {
	id := func(p *corev1.Pod) string { return p.Name + "/" + string(p.UID) + "@" + p.ResourceVersion }
	switch {
	case c.deleted:
		return "delete " + id(c.old)
	case c.old == nil:
		return "set " + id(c.new)
	default:
		return "set " + id(c.new) + "<-" + c.old.ResourceVersion
	}
}

func describeAll(changes []change[*corev1.Pod]) []string {
	var all []string
	for _, c := range changes {
		all = append(all, describe(c))
	}
	return all
}

func storeOf(version int, pods ...*corev1.Pod) store[*corev1.Pod] {
	s := newStore[*corev1.Pod]()
	s.replace(pods, strconv.Itoa(version))
	return s
}

func TestStoreReplace(t *testing.T) {
	tests := []struct {
		name    string
		have    []*corev1.Pod
		list    []*corev1.Pod
		changes []string
	}{
		{"both empty", nil, nil, nil},
		{"first list", nil, []*corev1.Pod{pod("b", "2", 2), pod("a", "1", 1)}, []string{"set b/2@2", "set a/1@1"}},
		{"unchanged", []*corev1.Pod{pod("a", "1", 1)}, []*corev1.Pod{pod("a", "1", 1)}, nil},
		{"changed", []*corev1.Pod{pod("a", "1", 1)}, []*corev1.Pod{pod("a", "1", 11)}, []string{"set a/1@11<-1"}},
		{"gone", []*corev1.Pod{pod("b", "2", 2), pod("a", "1", 1)}, nil, []string{"delete a/1@1", "delete b/2@2"}},
		{"re-created under another UID", []*corev1.Pod{pod("a", "1", 1)}, []*corev1.Pod{pod("a", "9", 12)},
			[]string{"delete a/1@1", "set a/9@12"}},
		{"deletions come first", []*corev1.Pod{pod("a", "1", 1), pod("b", "2", 2)},
			[]*corev1.Pod{pod("c", "3", 13), pod("a", "1", 14)},
			[]string{"delete b/2@2", "set c/3@13", "set a/1@14<-1"}},
		{"older after a restored backup", []*corev1.Pod{pod("a", "1", 9)}, []*corev1.Pod{pod("a", "1", 3)},
			[]string{"set a/1@3<-9"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := storeOf(10, test.have...)
			got := describeAll(s.replace(test.list, "20"))
			if !slices.Equal(got, test.changes) {
				t.Errorf("changes %q, want %q", got, test.changes)
			}
			if s.version != "20" {
				t.Errorf("version %s, want the list's, 20", s.version)
			}
			if len(s.objects) != len(test.list) {
				t.Errorf("%d objects, want those of the list, %d", len(s.objects), len(test.list))
			}
		})
	}
}

func TestStoreApply(t *testing.T) {
	tests := []struct {
		name    string
		event   watch.Event // on a store of a/1@5, known up to 10
		changes []string
		version string
	}{
		{"new", added(pod("b", "2", 11)), []string{"set b/2@11"}, "11"},
		{"changed", modified(pod("a", "1", 12)), []string{"set a/1@12<-5"}, "12"},
		{"changed, told as new", added(pod("a", "1", 12)), []string{"set a/1@12<-5"}, "12"},
		{"new, told as changed", modified(pod("b", "2", 12)), []string{"set b/2@12"}, "12"},
		{"gone, with its final state", deleted(pod("a", "1", 13)), []string{"delete a/1@13"}, "13"},
		{"an unknown one is gone", deleted(pod("b", "2", 13)), nil, "13"},
		{"re-created in one event", modified(pod("a", "9", 14)), []string{"delete a/1@5", "set a/9@14"}, "14"},
		{"bookmark", bookmark(30), nil, "30"},
		{"old bookmark", bookmark(3), nil, "10"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := storeOf(10, pod("a", "1", 5))
			changes, err := s.apply(test.event)
			if err != nil {
				t.Fatal(err)
			}
			if got := describeAll(changes); !slices.Equal(got, test.changes) {
				t.Errorf("changes %q, want %q", got, test.changes)
			}
			if s.version != test.version {
				t.Errorf("version %s, want %s", s.version, test.version)
			}
		})
	}
}

func TestStoreSkipsRepeatedEvent(t *testing.T) {
	s := storeOf(10)
	for i := range 2 {
		changes, err := s.apply(added(pod("a", "1", 11)))
		if err != nil || len(changes) != 1-i {
			t.Errorf("delivery %d: changes %q, error %v", i+1, describeAll(changes), err)
		}
	}
}

func TestStoreOpaqueVersions(t *testing.T) {
	s := newStore[*corev1.Pod]()
	s.replace(nil, "zz")
	p := pod("a", "1", 0)
	p.ResourceVersion = "aa"
	if _, err := s.apply(added(p)); err != nil {
		t.Errorf("a version that is no number was taken for older: %v", err)
	}
}

func TestStoreRefuses(t *testing.T) {
	noVersion := pod("a", "1", 11)
	noVersion.ResourceVersion = ""
	tests := []struct {
		name             string
		event            watch.Event
		stale, needsList bool
	}{
		{"wrong type", watch.Event{Type: watch.Added, Object: &corev1.Node{}}, true, true},
		{"no object", watch.Event{Type: watch.Added}, true, true},
		{"no version", added(noVersion), true, true},
		{"older than known", modified(pod("a", "1", 9)), true, true},
		{"other UID is gone", deleted(pod("a", "9", 11)), true, true},
		{"unknown type", watch.Event{Type: "MOVED", Object: pod("a", "1", 11)}, true, true},
		{"expired", failure(apierrors.NewResourceExpired("too old")), true, true},
		{"gone", watch.Event{Type: watch.Error, Object: &metav1.Status{Reason: metav1.StatusReasonGone}}, true, true},
		{"gone by code only", watch.Event{Type: watch.Error, Object: &metav1.Status{Code: http.StatusGone}}, true, true},
		{"internal error", failure(apierrors.NewInternalError(errors.New("boom"))), false, true},
		{"error without a status", watch.Event{Type: watch.Error, Object: &corev1.Pod{}}, false, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := storeOf(10, pod("a", "1", 5))
			changes, err := s.apply(test.event)
			if err == nil || len(changes) != 0 {
				t.Fatalf("accepted: changes %q", describeAll(changes))
			}
			wrapped := fmt.Errorf("watch: %w", err)
			if stale(wrapped) != test.stale || needsList(wrapped) != test.needsList {
				t.Errorf("%v: stale %t, needs a list %t; want %t, %t",
					err, stale(wrapped), needsList(wrapped), test.stale, test.needsList)
			}
			if s.version != "10" || len(s.objects) != 1 {
				t.Errorf("a refused event changed the store: version %s, %d objects", s.version, len(s.objects))
			}
		})
	}
}

func TestHTTPErrorsThatNeedAList(t *testing.T) {
	tooLarge := apierrors.NewTimeoutError("Too large resource version", 1)
	tooLarge.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge}}
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("connection refused"), false},
		{apierrors.NewServiceUnavailable("starting"), false},
		{apierrors.NewUnauthorized("no"), false},
		{apierrors.NewResourceExpired("too old resource version"), true},
		{&apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusGone}}, true},
		{tooLarge, true},
	} {
		if needsList(test.err) != test.want {
			t.Errorf("needsList(%v) = %t", test.err, !test.want)
		}
	}
}

// TestStoreHasNoManagedFields: those of lists and of events are dropped.
func TestStoreHasNoManagedFields(t *testing.T) {
	managed := func(name string, version int) *corev1.Pod {
		p := pod(name, "1", version)
		p.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
		return p
	}
	s := newStore[*corev1.Pod]()
	s.replace([]*corev1.Pod{managed("a", 1)}, "1")
	if _, err := s.apply(added(managed("b", 2))); err != nil {
		t.Fatal(err)
	}
	for key, p := range s.objects {
		if p.ManagedFields != nil {
			t.Errorf("%s has managed fields", key)
		}
	}
}
