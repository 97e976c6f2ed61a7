package informer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/podsync/informer"
)

func TestMain(m *testing.M) { os.Exit(testcluster.Main(m)) }

// soon is how long the informer may take after an outage of the API: its longest pause, and some
// time for a busy machine.
const soon = 15 * time.Second

// listener notes what an informer of ConfigMaps reports.
type listener struct {
	t *testing.T

	mu      sync.Mutex
	now     map[types.UID]*corev1.ConfigMap
	names   map[string]types.UID
	heard   []string // "set NAME VALUE", "delete NAME"
	changed chan struct{}
}

func (l *listener) set(old, new *corev1.ConfigMap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old != l.now[new.UID] {
		l.t.Errorf("set %s: old is not what was set last", new.Name)
	}
	if other, taken := l.names[new.Name]; taken && other != new.UID {
		l.t.Errorf("set %s while another object of that name is there", new.Name)
	}
	l.now[new.UID], l.names[new.Name] = new, new.UID
	l.note("set " + new.Name + " " + new.Data["value"])
}

func (l *listener) delete(last *corev1.ConfigMap) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now[last.UID] == nil {
		l.t.Errorf("delete %s, which was not set", last.Name)
	}
	delete(l.now, last.UID)
	delete(l.names, last.Name)
	l.note("delete " + last.Name)
}

func (l *listener) note(what string) {
	l.heard = append(l.heard, what)
	close(l.changed)
	l.changed = make(chan struct{})
}

// expect waits until the informer has reported want since the last call. The order counts only
// among lines with the same name.
func (l *listener) expect(want ...string) {
	l.t.Helper()
	timeout := time.After(soon)
	for {
		l.mu.Lock()
		heard, changed := l.heard, l.changed
		done := byName(heard) == byName(want)
		if done {
			l.heard = nil
		}
		l.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			l.t.Fatalf("after %v the handler has heard %q, want %q", soon, heard, want)
		}
	}
}

// byName groups lines by their second word.
func byName(lines []string) string {
	groups := map[string][]string{}
	for _, line := range lines {
		name := strings.Fields(line)[1]
		groups[name] = append(groups[name], line)
	}
	return fmt.Sprint(groups) // a map is printed in the order of its keys
}

// setup is an informer of the ConfigMaps of one namespace. It reaches the API server through a
// proxy. client reaches the API server directly.
type setup struct {
	*listener
	client    kubernetes.Interface
	namespace string
	proxy     *testcluster.Proxy
	informer  *informer.Informer[*corev1.ConfigMap]
	logs      *observer.ObservedLogs
}

func newSetup(t *testing.T) *setup {
	cluster := testcluster.Start(t)
	if apiServerRestarted {
		awaitControllers(t)
	}
	s := &setup{
		listener: &listener{t: t, now: map[types.UID]*corev1.ConfigMap{}, names: map[string]types.UID{},
			changed: make(chan struct{})},
		client:    cluster.Client(),
		namespace: cluster.Namespace(t),
		proxy:     cluster.Proxy(t),
	}
	// The cluster adds this ConfigMap to each namespace.
	selector := "metadata.name!=kube-root-ca.crt"
	config := cluster.Config()
	config.Host = "https://" + s.proxy.Addr()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	configMaps := client.CoreV1().ConfigMaps(s.namespace)
	source := informer.ListWatch[*corev1.ConfigMap]{
		List: func(ctx context.Context, opts metav1.ListOptions) ([]*corev1.ConfigMap, metav1.ListMeta, error) {
			opts.FieldSelector = selector
			opts.Limit = min(opts.Limit, 2) // so that a list has several pages
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
	}
	core, logs := observer.New(zap.DebugLevel)
	s.logs = logs
	t.Cleanup(func() {
		for _, line := range logs.All() {
			t.Log(line.Time.Format("05.000"), line.Level, line.Message, line.ContextMap())
		}
	})
	s.informer = informer.New(source, informer.Handler[*corev1.ConfigMap]{Set: s.set, Delete: s.delete}, zap.New(core))
	return s
}

// run runs the informer until the test ends.
func (s *setup) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.informer.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("Run: %v", err)
		}
	})
	waiting, stop := context.WithTimeout(s.t.Context(), soon)
	defer stop()
	if err := s.informer.WaitForSync(waiting); err != nil {
		s.t.Fatal(err)
	}
}

// write sets the value of the ConfigMap of that name.
func (s *setup) write(name, value string) {
	s.t.Helper()
	configMaps := s.client.CoreV1().ConfigMaps(s.namespace)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"value": value}}
	_, found := s.informer.Get(s.namespace, name)
	var err error
	if found {
		_, err = configMaps.Update(s.t.Context(), object, metav1.UpdateOptions{})
	} else {
		_, err = configMaps.Create(s.t.Context(), object, metav1.CreateOptions{})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *setup) recreate(name, value string) {
	s.t.Helper()
	s.remove(name)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"value": value}}
	if _, err := s.client.CoreV1().ConfigMaps(s.namespace).Create(s.t.Context(), object, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *setup) remove(name string) {
	s.t.Helper()
	if err := s.client.CoreV1().ConfigMaps(s.namespace).Delete(s.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

// makeFive makes five ConfigMaps and waits until the informer has reported them.
func (s *setup) makeFive() {
	s.t.Helper()
	var heard []string
	for n := range 5 {
		name := "cm-" + strconv.Itoa(n)
		s.write(name, "first")
		heard = append(heard, "set "+name+" first")
	}
	s.expect(heard...)
}

func TestFollowsTheAPIServer(t *testing.T) {
	s := newSetup(t)
	s.write("before", "1") // the first list has more than one page
	s.write("before-2", "1")
	s.write("before-3", "1")
	s.run()
	s.expect("set before 1", "set before-2 1", "set before-3 1")
	s.write("after", "1")
	s.expect("set after 1")
	s.write("before", "2")
	s.recreate("after", "2")
	s.remove("before-2")
	s.expect("set before 2", "delete after", "set after 2", "delete before-2")
	if n := len(s.informer.List()); n != 3 {
		t.Errorf("%d objects, want 3", n)
	}
}

// If something changes while the connection is cut, the informer reports it soon after the
// connection is back, through the resumed watch or a new list.
func TestSeesWhatACutWatchMissed(t *testing.T) {
	s := newSetup(t)
	s.run()
	s.makeFive()
	for round := range 3 {
		value := strconv.Itoa(round)
		s.proxy.Cut()
		s.write("cm-0", value)
		s.recreate("cm-1", value)
		s.remove("cm-2")
		s.write("new-"+value, value)
		s.proxy.Restore()
		s.expect("set cm-0 "+value, "delete cm-1", "set cm-1 "+value, "delete cm-2", "set new-"+value+" "+value)

		s.write("cm-2", value)
		s.expect("set cm-2 " + value)
	}
}

// The informer misses an object only if it was created and deleted during a gap that needs a new
// list. It reports all other changes.
func TestListsAgainWhenTheAPIServerForgot(t *testing.T) {
	s := newSetup(t)
	s.run()
	s.makeFive()
	s.proxy.Cut()
	s.write("cm-0", "second")
	s.recreate("cm-1", "second")
	s.remove("cm-2")
	s.write("new", "second")
	restartAPIServer(t)
	s.proxy.Restore()
	s.expect("set cm-0 second", "delete cm-1", "set cm-1 second", "delete cm-2", "set new second")
	s.write("cm-3", "second")
	s.expect("set cm-3 second")
	if s.logs.FilterMessageSnippet("listing again").Len() == 0 {
		t.Error("there was no new list: the test did not reach its case")
	}
}

// apiServerRestarted is for -count: a test that restarted the API server delays the tests of the
// next round.
var apiServerRestarted bool

// awaitControllers waits until the controller manager has found the restarted API server and makes
// service accounts again. That may take minutes.
func awaitControllers(t *testing.T) {
	t.Helper()
	client := testcluster.Start(t).Client().CoreV1()
	namespace, err := client.Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "await-controllers-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually.Within(t, 5*time.Minute, "there is a service account after a restart of the API server", func() bool {
		_, err := client.ServiceAccounts(namespace.Name).Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil
	})
	if err := client.Namespaces().Delete(t.Context(), namespace.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	apiServerRestarted = false
}

// restartAPIServer kills the API server and waits until its successor is ready.
func restartAPIServer(t *testing.T) {
	t.Helper()
	cluster := testcluster.Start(t)
	file := filepath.Join(cluster.Dir(), "kube-apiserver.pid")
	read := func() int {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0
		}
		pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		return pid
	}
	old := read()
	if old == 0 {
		t.Fatalf("%s names no process", file)
	}
	apiServerRestarted = true
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually.Within(t, time.Minute, "the API server is ready again", func() bool {
		if pid := read(); pid == 0 || pid == old {
			return false
		}
		body, err := cluster.Client().Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(t.Context())
		return err == nil && string(body) == "ok"
	})
}
