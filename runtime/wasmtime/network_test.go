package wasmtime

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestWrongEgress: a guest with a wrong list does not start, and the error says where it is wrong.
func TestWrongEgress(t *testing.T) {
	e := newEngine(t)
	fails := func() {
		_, err := tryStart(t, e, guests.Component(t, "hello-0.2"), runtime.Spec{Network: runtime.Network{Egress: runtime.Egress{Allow: "a.example, 10.0.0.1/8"}}})
		if err == nil || !strings.Contains(err.Error(), `reading the list of egress: entry 2, "10.0.0.1/8": bits are set`) {
			t.Errorf("it starts: %v", err)
		}
	}
	fails() // what the engine keeps of the module is there now
	before := takeFootprint(t)
	for range 5 {
		fails()
	}
	if after := takeFootprint(t); after.goroutines > before.goroutines || after.descriptors > before.descriptors {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// from127 is a client at 127.0.0.2 with a connection for each request.
func from127(t *testing.T) *http.Client {
	t.Helper()
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	transport := &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestPolicies: who may connect to a guest is what NetworkPolicies say: to a handler, which the
// node serves, and to a module with listening sockets, from the first connection.
func TestPolicies(t *testing.T) {
	closed := runtime.Network{Rules: runtime.PodRules{Ingress: &runtime.Rules{}}}
	for name, serve := range map[string]func(e *Engine, of runtime.Origin) string{
		"handler": func(e *Engine, of runtime.Origin) string {
			return newSiteOf(t, e, "http-hello-0.2", runtime.Spec{Of: of, Network: closed}).url
		},
		"listening sockets": func(e *Engine, of runtime.Origin) string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := l.Addr().String()
			_ = l.Close()
			r := start(t, e, guests.Build(t, "serve"), runtime.Spec{
				Of: of, Network: closed, Command: runtime.Command{Args: []string{"serve"}, Listen: []string{address}},
			})
			t.Cleanup(func() {
				r.process.Stop(0)
				r.wait()
			})
			return "http://" + address
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t)
			pod := strings.ReplaceAll(name, " ", "-")
			url, client := serve(e, runtime.Origin{Pod: pod, Container: "c"}), from127(t)
			closedNow := func() error {
				got, err := client.Get(url)
				if err == nil {
					_ = got.Body.Close()
				}
				if !errors.Is(err, syscall.ECONNRESET) {
					return errors.Join(errors.New("it is not reset"), err)
				}
				return nil
			}
			openNow := func() error {
				got, err := client.Get(url)
				if err == nil {
					_ = got.Body.Close()
				}
				return err
			}
			if err := closedNow(); err != nil {
				t.Errorf("with the rules of the start: %v", err)
			}
			e.network.Apply(runtime.NetworkUpdate{
				Sets: []runtime.AddressSet{{Name: "friends", Add: prefixesOf("127.0.0.2/32")}},
				Pods: []runtime.PodRules{{Pod: pod, Ingress: &runtime.Rules{List: []runtime.Rule{{Sets: []string{"friends"}}}}}},
			})
			soon(t, openNow)
			e.network.Apply(runtime.NetworkUpdate{Sets: []runtime.AddressSet{{Name: "friends", Reset: true}}})
			if err := closedNow(); err != nil {
				t.Errorf("when the set is empty: %v", err)
			}
			e.network.Apply(runtime.NetworkUpdate{Sets: []runtime.AddressSet{{Name: runtime.NodeSet, Add: prefixesOf("127.0.0.2/32")}}})
			soon(t, openNow)
			if told := e.network.Refused(); len(told) != 1 || told[0].Pod != pod || !told[0].Ingress || told[0].By != runtime.ByPolicy || told[0].Times < 2 {
				t.Errorf("told is %+v", told)
			}
		})
	}
}

// TestNetworkBesideARun: a command in a container has the container's network, and needs it.
func TestNetworkBesideARun(t *testing.T) {
	e := newEngine(t)
	r := start(t, e, guests.Build(t, "kitchen"), runtime.Spec{Of: runtime.Origin{Pod: "u1", Container: "c"}, Command: runtime.Command{Args: []string{"kitchen", "sleep"}}})
	r.says("sleeping")
	run := e.networkOf(t.Name())
	joins, err := e.joinNetwork(runtime.Spec{Of: runtime.Origin{Pod: "u1", Beside: t.Name()}})
	if err != nil || run == nil || joins.Network != run.Network || joins.requests != run.requests {
		t.Fatalf("the command has the network %p, %v; the run has %p", joins, err, run)
	}
	joins.leave() // the command ends, and the run goes on
	if e.networkOf(t.Name()) != run {
		t.Error("the run has lost its network")
	}
	r.process.Stop(0)
	r.wait()
	if _, err := e.joinNetwork(runtime.Spec{Of: runtime.Origin{Pod: "u1", Beside: t.Name()}}); !errors.Is(err, errNoRun) {
		t.Errorf("beside a run that has ended: %v", err)
	}
}

func prefixesOf(text string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(text)} }
