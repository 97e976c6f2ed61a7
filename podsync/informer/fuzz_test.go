package informer

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// server is a model of the API server: the true state, and the events that led to it.
type server struct {
	version int
	nextUID int
	pods    map[string]*corev1.Pod
	events  []watch.Event // each object has the version of its event
}

func (s *server) write(op byte, name string) {
	have, found := s.pods[name]
	s.version++
	switch {
	case !found: // create
		s.nextUID++
		s.pods[name] = pod(name, strconv.Itoa(s.nextUID), s.version)
		s.events = append(s.events, added(s.pods[name]))
	case op%4 == 0: // delete; the event has the version of the deletion
		delete(s.pods, name)
		s.events = append(s.events, deleted(pod(name, string(have.UID), s.version)))
	case op%4 == 1: // delete and create, in one event
		s.nextUID++
		s.pods[name] = pod(name, strconv.Itoa(s.nextUID), s.version)
		s.events = append(s.events, modified(s.pods[name]))
	default: // update
		s.pods[name] = pod(name, string(have.UID), s.version)
		s.events = append(s.events, modified(s.pods[name]))
	}
}

func (s *server) list() []*corev1.Pod {
	var pods []*corev1.Pod
	for _, name := range slices.Sorted(maps.Keys(s.pods)) {
		pods = append(pods, s.pods[name])
	}
	return pods
}

// audience is a handler that checks the changes, and builds a copy of the store from them.
type audience struct {
	pods map[types.UID]*corev1.Pod
	gone map[types.UID]bool
}

func (a *audience) hear(changes []change[*corev1.Pod]) error {
	for _, c := range changes {
		if err := a.hearOne(c); err != nil {
			return fmt.Errorf("%s: %w", describe(c), err)
		}
	}
	return nil
}

func (a *audience) hearOne(c change[*corev1.Pod]) error {
	if c.deleted {
		last := a.pods[c.old.UID]
		if last == nil {
			return errors.New("deleted without having been set")
		}
		if older(c.old.ResourceVersion, last.ResourceVersion) {
			return fmt.Errorf("the final state is older than what was set, %s", last.ResourceVersion)
		}
		delete(a.pods, c.old.UID)
		a.gone[c.old.UID] = true
		return nil
	}
	if a.gone[c.new.UID] {
		return errors.New("set after it was deleted")
	}
	if a.pods[c.new.UID] != c.old {
		return errors.New("old is not what was set last")
	}
	if c.old != nil && !older(c.old.ResourceVersion, c.new.ResourceVersion) {
		return errors.New("set without being newer")
	}
	a.pods[c.new.UID] = c.new
	names := map[string]bool{}
	for _, p := range a.pods {
		if names[p.Name] {
			return errors.New("two objects of that name")
		}
		names[p.Name] = true
	}
	return nil
}

// FuzzStore does to a store everything that a server, a network and a watch cache may do. It
// compares the store with the true state each time the store is up to date.
func FuzzStore(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	random := rand.New(rand.NewPCG(1, 2)) // the same scripts in each run
	for range 50 {
		script := make([]byte, 400)
		for i := range script {
			script[i] = byte(random.UintN(256))
		}
		f.Add(script)
	}
	f.Add([]byte{0, 0, 8, 8, 16, 128, 24, 5, 1, 0, 0, 6, 0, 5, 7, 5, 32, 40, 48, 4})
	f.Fuzz(func(t *testing.T, script []byte) {
		truth := &server{version: 1, pods: map[string]*corev1.Pod{}}
		s := newStore[*corev1.Pod]()
		heard := &audience{pods: map[types.UID]*corev1.Pod{}, gone: map[types.UID]bool{}}
		read := 0 // events that the watch has delivered or skipped

		hear := func(step int, changes []change[*corev1.Pod]) {
			if err := heard.hear(changes); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
			if len(heard.pods) != len(s.objects) {
				t.Fatalf("step %d: the handler knows %d objects, the store %d", step, len(heard.pods), len(s.objects))
			}
			for _, p := range s.objects {
				if heard.pods[p.UID] != p {
					t.Fatalf("step %d: the handler knows another state of %s", step, p.Name)
				}
			}
		}
		relist := func(step int) {
			hear(step, s.replace(truth.list(), strconv.Itoa(truth.version)))
			read = len(truth.events)
		}
		take := func(step int, event watch.Event, mayBreak bool) {
			before := s.version
			changes, err := s.apply(event)
			if err == nil {
				hear(step, changes)
				if older(s.version, before) {
					t.Fatalf("step %d: the version went back from %s to %s", step, before, s.version)
				}
				return
			}
			if !mayBreak {
				t.Fatalf("step %d: a true event was refused: %v", step, err)
			}
			if !needsList(err) {
				t.Fatalf("step %d: %v does not lead to a new list", step, err)
			}
			relist(step)
		}
		deliver := func(step, most int) {
			for ; most > 0 && read < len(truth.events); most-- {
				event := truth.events[read]
				read++
				take(step, event, false)
			}
		}

		relist(-1)
		for step, op := range script {
			name := string(rune('a' + op>>3&3))
			switch op & 7 {
			case 0, 1, 2:
				truth.write(op>>5, name)
			case 3:
				deliver(step, 1+int(op>>5))
			case 4: // a gap: the watch has expired, or the connection has broken
				relist(step)
			case 5: // an old event, or a repeated one
				if read > 0 {
					take(step, truth.events[int(op>>3)%read], true)
				}
			case 6: // all events, then a bookmark
				deliver(step, len(truth.events))
				take(step, bookmark(truth.version), false)
			case 7: // not an object, or an object that no event has announced
				wrong := watch.Event{Type: watch.Modified, Object: &corev1.Node{}}
				if op>>5&1 == 1 {
					version, _ := strconv.Atoi(s.version)
					wrong = deleted(pod(name, "unseen", version))
				}
				take(step, wrong, true)
			}
		}
		deliver(len(script), len(truth.events))

		if len(s.objects) != len(truth.pods) {
			t.Fatalf("at the end: %d objects, the truth has %d", len(s.objects), len(truth.pods))
		}
		for key, p := range s.objects {
			if truth.pods[key.Name] != p {
				t.Fatalf("at the end: %s is not what it is in truth", key)
			}
		}
	})
}
