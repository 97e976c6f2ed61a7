package informer

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// page is the answer to a list request.
type page struct {
	pods    []*corev1.Pod
	version string
	token   string
	err     error
}

// call is a list or watch call of the informer.
type call struct {
	verb string // list, watch
	at   time.Duration
	opts metav1.ListOptions
}

// scripted is a ListWatch. The test sets its answers while it runs.
type scripted struct {
	started time.Time

	mu      sync.Mutex
	page    func(opts metav1.ListOptions) page
	refuse  error // if set, a watch fails with it
	watches []*watch.RaceFreeFakeWatcher
	calls   []call
	heard   []string
}

func newScripted() *scripted {
	s := &scripted{started: time.Now()}
	s.answer(page{version: "10"})
	return s
}

func (s *scripted) answer(p page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.page = func(metav1.ListOptions) page { return p }
}

func (s *scripted) refuseWatch(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = err
}

// watch returns the newest watch.
func (s *scripted) watch() *watch.RaceFreeFakeWatcher {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches[len(s.watches)-1]
}

// history returns the calls so far and forgets them.
func (s *scripted) history() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// told returns what the handler has got so far, and forgets it.
func (s *scripted) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := strings.Join(s.heard, ", ")
	s.heard = nil
	return heard
}

func (s *scripted) record(verb string, opts metav1.ListOptions) {
	s.calls = append(s.calls, call{verb, time.Since(s.started), opts})
}

func (s *scripted) hear(c change[*corev1.Pod]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, describe(c))
}

func (s *scripted) listWatch() ListWatch[*corev1.Pod] {
	return ListWatch[*corev1.Pod]{
		List: func(_ context.Context, opts metav1.ListOptions) ([]*corev1.Pod, metav1.ListMeta, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.record("list", opts)
			p := s.page(opts)
			return p.pods, metav1.ListMeta{ResourceVersion: p.version, Continue: p.token}, p.err
		},
		Watch: func(_ context.Context, opts metav1.ListOptions) (watch.Interface, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.record("watch", opts)
			if s.refuse != nil {
				return nil, s.refuse
			}
			w := watch.NewRaceFreeFake()
			s.watches = append(s.watches, w)
			return w, nil
		},
	}
}

// run runs test in a bubble of virtual time with an informer on s.
func run(t *testing.T, test func(t *testing.T, s *scripted, i *Informer[*corev1.Pod])) {
	synctest.Test(t, func(t *testing.T) {
		s := newScripted()
		i := New(s.listWatch(), Handler[*corev1.Pod]{
			Set:    func(old, new *corev1.Pod) { s.hear(change[*corev1.Pod]{old: old, new: new}) },
			Delete: func(last *corev1.Pod) { s.hear(change[*corev1.Pod]{deleted: true, old: last}) },
		}, zaptest.NewLogger(t))
		test(t, s, i)
	})
}

// start runs i until the test ends. It returns when all goroutines wait.
func start(t *testing.T, i *Informer[*corev1.Pod]) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- i.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
}

// pass waits for d.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func verbs(calls []call) string {
	var all []string
	for _, c := range calls {
		all = append(all, c.verb+"@"+c.opts.ResourceVersion)
	}
	return strings.Join(all, " ")
}

func wantTold(t *testing.T, s *scripted, want string) {
	t.Helper()
	if got := s.told(); got != want {
		t.Errorf("the handler heard %q, want %q", got, want)
	}
}

func wantCalls(t *testing.T, s *scripted, want string) {
	t.Helper()
	if got := verbs(s.history()); got != want {
		t.Errorf("calls %q, want %q", got, want)
	}
}

func TestRunListsThenWatches(t *testing.T) {
	run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
		s.answer(page{pods: []*corev1.Pod{pod("a", "1", 5)}, version: "10"})
		start(t, i)
		if err := i.WaitForSync(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantTold(t, s, "set a/1@5")

		s.watch().Action(watch.Modified, pod("a", "1", 11))
		s.watch().Action(watch.Added, pod("b", "2", 12))
		s.watch().Action(watch.Deleted, pod("a", "1", 13))
		synctest.Wait()
		wantTold(t, s, "set a/1@11<-5, set b/2@12, delete a/1@13")
		if _, found := i.Get("ns", "a"); found {
			t.Error("Get finds a pod that was deleted")
		}
		if b, found := i.Get("ns", "b"); !found || b.UID != "2" {
			t.Errorf("Get of a pod that is there: %v, %t", b, found)
		}
		if all := i.List(); len(all) != 1 || all[0].Name != "b" {
			t.Errorf("List: %v", all)
		}

		calls := s.history()
		if got := verbs(calls); got != "list@ watch@10" {
			t.Fatalf("calls %q", got)
		}
		opts := calls[1].opts
		if !opts.AllowWatchBookmarks {
			t.Error("the watch does not ask for bookmarks")
		}
		if opts.TimeoutSeconds == nil || *opts.TimeoutSeconds < 300 || *opts.TimeoutSeconds > 600 {
			t.Errorf("the watch asks for a time-out of %v s, want 300 to 600", opts.TimeoutSeconds)
		}
	})
}

func TestRunResumesEndedWatch(t *testing.T) {
	run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
		start(t, i)
		s.watch().Action(watch.Added, pod("a", "1", 11))
		s.watch().Action(watch.Bookmark, bookmark(40).Object)
		pass(time.Minute)
		s.history()
		s.watch().Stop() // as the server does at its time-out
		synctest.Wait()
		wantCalls(t, s, "watch@40")
		s.watch().Action(watch.Modified, pod("a", "1", 41))
		synctest.Wait()
		wantTold(t, s, "set a/1@11, set a/1@41<-11")
	})
}

func TestRunListsAgainWhenTheVersionIsGone(t *testing.T) {
	expired := apierrors.NewResourceExpired("too old resource version")
	afterwards := page{pods: []*corev1.Pod{pod("b", "9", 55), pod("c", "3", 50)}, version: "60"}
	const difference = "delete a/1@5, delete b/2@6, set b/9@55, set c/3@50"
	begin := func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
		s.answer(page{pods: []*corev1.Pod{pod("a", "1", 5), pod("b", "2", 6)}, version: "10"})
		start(t, i)
		pass(time.Minute)
		s.answer(afterwards)
		s.history()
		s.told()
	}
	t.Run("told by an event", func(t *testing.T) {
		run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
			begin(t, s, i)
			s.watch().Action(watch.Error, failure(expired).Object)
			synctest.Wait() // no time passes
			wantCalls(t, s, "list@ watch@60")
			wantTold(t, s, difference)
		})
	})
	t.Run("told when the watch starts", func(t *testing.T) {
		run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
			begin(t, s, i)
			s.refuseWatch(expired)
			s.watch().Stop()
			synctest.Wait()
			wantCalls(t, s, "watch@10")
			s.refuseWatch(nil)
			pass(retryBase)
			wantCalls(t, s, "list@ watch@60")
			wantTold(t, s, difference)
		})
	})
	t.Run("broken event", func(t *testing.T) {
		run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
			begin(t, s, i)
			s.watch().Action(watch.Added, &corev1.Node{})
			synctest.Wait()
			wantCalls(t, s, "list@ watch@60")
			wantTold(t, s, difference)
		})
	})
	t.Run("other error event, after a pause", func(t *testing.T) {
		run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
			begin(t, s, i)
			s.watch().Action(watch.Error, failure(apierrors.NewInternalError(errors.New("boom"))).Object)
			synctest.Wait()
			wantCalls(t, s, "")
			pass(retryBase)
			wantCalls(t, s, "list@ watch@60")
			wantTold(t, s, difference)
		})
	})
}

// During an outage the informer must not make many attempts in a short time. It must not list
// without need.
func TestRunSurvivesOutageOfWatch(t *testing.T) {
	run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
		start(t, i)
		pass(time.Minute)
		s.history()
		s.refuseWatch(errors.New("connection refused"))
		s.watch().Stop()
		pass(2 * time.Minute)
		calls := s.history()
		if n := len(calls); n < 24 || n > 60 {
			t.Errorf("%d attempts in 2 minutes, want 24 to 60", n)
		}
		for _, c := range calls {
			if c.verb != "watch" || c.opts.ResourceVersion != "10" {
				t.Fatalf("%s from %q during the outage, want a watch from 10", c.verb, c.opts.ResourceVersion)
			}
		}
		s.refuseWatch(nil)
		pass(retryCap)
		s.watch().Action(watch.Added, pod("a", "1", 11))
		synctest.Wait()
		wantTold(t, s, "set a/1@11")
		wantCalls(t, s, "watch@10")
	})
}

// docs/security.md: "the agent asks again in growing steps of up to some seconds."
func TestRunSpacesFailingLists(t *testing.T) {
	run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
		s.answer(page{err: errors.New("connection refused")})
		start(t, i)
		pass(time.Minute)
		calls := s.history()
		for n := 1; n < len(calls); n++ {
			gap := calls[n].at - calls[n-1].at
			longest := min(retryCap, retryBase<<min(n-1, 20))
			if gap < longest/2 || gap > longest {
				t.Errorf("%v between attempts %d and %d, want %v to %v", gap, n, n+1, longest/2, longest)
			}
		}
		if len(calls) < 16 {
			t.Errorf("%d attempts in a minute, want 16 or more", len(calls))
		}
		waiting, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := i.WaitForSync(waiting); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("WaitForSync without a list: %v, want the deadline", err)
		}
		s.answer(page{version: "10"})
		pass(retryCap)
		if err := i.WaitForSync(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A watch that works only for a moment must not cause a busy loop.
func TestRunSpacesShortWatches(t *testing.T) {
	short := map[string]func(*watch.RaceFreeFakeWatcher){
		"ended": func(w *watch.RaceFreeFakeWatcher) { w.Stop() },
		"gone": func(w *watch.RaceFreeFakeWatcher) {
			w.Action(watch.Error, failure(apierrors.NewResourceExpired("gone")).Object)
		},
		"broken": func(w *watch.RaceFreeFakeWatcher) { w.Action(watch.Added, &corev1.Node{}) },
		"failed": func(w *watch.RaceFreeFakeWatcher) {
			w.Action(watch.Error, failure(apierrors.NewInternalError(errors.New("boom"))).Object)
		},
	}
	for name, end := range short {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
				lw := s.listWatch()
				original := lw.Watch
				i.source.Watch = func(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
					w, err := original(ctx, opts)
					end(w.(*watch.RaceFreeFakeWatcher))
					return w, err
				}
				start(t, i)
				pass(2 * time.Minute)
				watches := slices.DeleteFunc(s.history(), func(c call) bool { return c.verb != "watch" })
				if n := len(watches); n < 24 || n > 60 {
					t.Errorf("%d watches in 2 minutes, want 24 to 60", n)
				}
			})
		})
	}
}

// During a burst of events a server ends watches that are too slow, again and again. The informer
// resumes each immediately at its version.
func TestRunResumesWatchesThatBringNews(t *testing.T) {
	run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
		start(t, i)
		for n := range 20 {
			s.watch().Action(watch.Added, pod("a"+strconv.Itoa(n), strconv.Itoa(n), 11+n))
			s.watch().Stop()
			synctest.Wait() // no time passes
		}
		if heard := strings.Split(s.told(), ", "); len(heard) != 20 {
			t.Errorf("the handler heard of %d pods without a pause, want 20: %v", len(heard), heard)
		}
	})
}

func TestRunForgetsFailuresAfterHealthyWatch(t *testing.T) {
	run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
		s.answer(page{err: errors.New("connection refused")})
		start(t, i)
		pass(time.Minute)
		s.answer(page{version: "10"})
		pass(retryCap + healthyAfter)
		s.history()
		s.watch().Stop()
		synctest.Wait()
		wantCalls(t, s, "watch@10")
	})
}

// After an outage the server often declares the old watch invalid. The informer must list soon, and
// not after a pause as long as those before attempts to reach the server.
func TestRunListsAtOnceAfterOutage(t *testing.T) {
	run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
		start(t, i)
		pass(time.Minute)
		s.refuseWatch(errors.New("connection refused"))
		s.watch().Stop()
		pass(time.Minute)
		s.refuseWatch(nil)
		s.answer(page{pods: []*corev1.Pod{pod("a", "1", 50)}, version: "60"})
		pass(retryCap)
		s.told()
		s.watch().Action(watch.Error, failure(apierrors.NewResourceExpired("too old")).Object)
		pass(retryBase)
		wantTold(t, s, "set a/1@50")
	})
}

// The informer abandons a watch even if the server's time-out and the transport's pings both fail.
func TestRunAbandonsSilentWatch(t *testing.T) {
	run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
		start(t, i)
		first := s.watch()
		pass(2*watchTimeoutMin + watchGrace + retryBase)
		if got := verbs(s.history()); !strings.HasPrefix(got, "list@ watch@10 watch@10") {
			t.Errorf("calls %q, want a second watch", got)
		}
		if !first.IsStopped() {
			t.Error("the silent watch was not stopped")
		}
	})
}

func TestRunReadsPages(t *testing.T) {
	pages := map[string]page{
		"":     {pods: []*corev1.Pod{pod("a", "1", 5)}, version: "10", token: "next"},
		"next": {pods: []*corev1.Pod{pod("b", "2", 6)}, version: "10"},
	}
	t.Run("all pages", func(t *testing.T) {
		run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
			s.page = func(opts metav1.ListOptions) page { return pages[opts.Continue] }
			start(t, i)
			wantTold(t, s, "set a/1@5, set b/2@6")
			wantCalls(t, s, "list@ list@ watch@10")
		})
	})
	t.Run("snapshot gone between pages", func(t *testing.T) {
		run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
			s.page = func(opts metav1.ListOptions) page {
				switch {
				case opts.Continue != "":
					return page{err: apierrors.NewResourceExpired("continue token is too old")}
				case opts.Limit == 0:
					return page{pods: []*corev1.Pod{pod("c", "3", 7)}, version: "20"}
				default:
					return pages[""]
				}
			}
			start(t, i)
			wantTold(t, s, "set c/3@7")
			wantCalls(t, s, "list@ list@ list@ watch@20")
		})
	})
	t.Run("no version", func(t *testing.T) {
		run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
			s.answer(page{})
			start(t, i)
			wantCalls(t, s, "list@")
		})
	})
}

func TestRunEndsWithContext(t *testing.T) {
	run(t, func(t *testing.T, s *scripted, i *Informer[*corev1.Pod]) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- i.Run(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if !s.watch().IsStopped() {
			t.Error("the watch was left open")
		}
		if err := i.Run(t.Context()); err == nil {
			t.Error("a second Run was accepted")
		}
	})
}

func TestPointers(t *testing.T) {
	items := []corev1.Pod{*pod("a", "1", 1), *pod("b", "2", 2)}
	got := Pointers(items)
	if len(got) != 2 || got[0].Name != "a" || got[1].Name != "b" {
		t.Fatalf("got %v", got)
	}
	if got[0] == &items[0] {
		t.Error("the pointer leads into the list")
	}
}
