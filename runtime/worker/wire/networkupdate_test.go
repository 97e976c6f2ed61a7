package wire

import (
	"encoding/binary"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// received is an update after it was sent.
func received(t *testing.T, u runtime.NetworkUpdate) (got runtime.NetworkUpdate, parts []*workerpb.UpdateNetworkRequest) {
	t.Helper()
	for _, sent := range ToNetworkUpdate(u, 7) {
		data, err := proto.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		part := &workerpb.UpdateNetworkRequest{}
		if err := proto.Unmarshal(data, part); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part)
	}
	return FromNetworkUpdate(parts), parts
}

func TestNothingOfAnUpdateIsLost(t *testing.T) {
	var u runtime.NetworkUpdate
	fill(reflect.ValueOf(&u).Elem())
	u.Sets[1].Name = "other"
	u.Pods[0].Egress = nil
	got, parts := received(t, u)
	if diff := cmp.Diff(u, got, addresses); diff != "" {
		t.Errorf("(-sent +received):\n%s", diff)
	}
	if parts[0].GetWatch() != 7 {
		t.Errorf("the first part names the watch %d", parts[0].GetWatch())
	}
	empty, parts := received(t, runtime.NetworkUpdate{Reset: true})
	if diff := cmp.Diff(runtime.NetworkUpdate{Reset: true}, empty, addresses); diff != "" || len(parts) != 1 {
		t.Errorf("an empty update, in %d parts (-sent +received):\n%s", len(parts), diff)
	}
}

// A worker that lacks two updates gets both as one. An address that came with the first and went
// with the second must not stay: the next pod that has it would be let in.
func TestChangesOfASetStayInTheirOrder(t *testing.T) {
	one := []netip.Prefix{netip.MustParsePrefix("10.244.1.7/32")}
	for name, sets := range map[string][]runtime.AddressSet{
		"came, went":             {{Name: "s", Add: one}, {Name: "s", Remove: one}},
		"was reset, went":        {{Name: "s", Reset: true, Add: one}, {Name: "s", Remove: one}},
		"came, went, came, went": {{Name: "s", Add: one}, {Name: "s", Remove: one}, {Name: "s", Add: one}, {Name: "s", Remove: one}},
	} {
		got, _ := received(t, runtime.NetworkUpdate{Sets: sets})
		has := map[netip.Prefix]bool{}
		for _, s := range got.Sets {
			if s.Reset {
				clear(has)
			}
			for _, p := range s.Remove {
				delete(has, p)
			}
			for _, p := range s.Add {
				has[p] = true
			}
		}
		if len(has) != 0 {
			t.Errorf("%s: %v stays", name, has)
		}
	}
}

// A rule without targets or with all of them are different things, and so are no rules and an empty
// list of rules.
func TestRulesKeepTheirMeaning(t *testing.T) {
	u := runtime.NetworkUpdate{Pods: []runtime.PodRules{
		{Pod: "all"},
		{Pod: "none", Ingress: &runtime.Rules{}, Egress: &runtime.Rules{List: []runtime.Rule{{}}}},
		{Pod: "any", Ingress: &runtime.Rules{List: []runtime.Rule{{Any: true}}}},
	}}
	got, _ := received(t, u)
	if diff := cmp.Diff(u, got, addresses); diff != "" {
		t.Errorf("(-sent +received):\n%s", diff)
	}
}

// A large set comes in parts, and is one set again.
func TestLargeUpdatesComeInParts(t *testing.T) {
	set := runtime.AddressSet{Name: "large", Reset: true}
	for i := range uint32(200_000) {
		a := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 10<<24+i)))
		set.Add = append(set.Add, netip.PrefixFrom(a, 32))
	}
	u := runtime.NetworkUpdate{Sets: []runtime.AddressSet{
		{Name: "before", Add: set.Add[:3]}, set, {Name: "after", Reset: true}, {Name: "after", Add: set.Add[:1]},
	}}
	got, parts := received(t, u)
	for _, p := range parts {
		if n := proto.Size(p); n > 2*updatePart {
			t.Errorf("a part has %d bytes", n)
		}
	}
	if len(parts) < 2 {
		t.Errorf("the update has %d parts", len(parts))
	}
	want := []runtime.AddressSet{u.Sets[0], set, {Name: "after", Reset: true, Add: set.Add[:1]}}
	if len(got.Sets) != len(want) {
		t.Fatalf("%d sets came, want %d", len(got.Sets), len(want))
	}
	for i, s := range got.Sets {
		if s.Name != want[i].Name || s.Reset != want[i].Reset || !slices.Equal(s.Add, want[i].Add) || len(s.Remove) > 0 {
			t.Errorf("set %q came with %d addresses, want %q with %d", s.Name, len(s.Add), want[i].Name, len(want[i].Add))
		}
	}
}

func TestRefusalsAreBounded(t *testing.T) {
	var all []runtime.PodDenial
	for range MostDenials + 1 {
		all = append(all, runtime.PodDenial{Pod: "u", Denial: runtime.Denial{Target: "a:1", By: runtime.ByLimit, Audited: true, Times: 2}})
	}
	messages := ToDenials(all)
	if len(messages) != 2 {
		t.Fatalf("%d messages", len(messages))
	}
	got := FromDenials(messages[1])
	if diff := cmp.Diff(all[:1], got); diff != "" {
		t.Errorf("(-sent +received):\n%s", diff)
	}

	lies := &workerpb.DenialsResponse{}
	for range MostDenials + 5 {
		lies.Denials = append(lies.Denials, &workerpb.Denial{Target: strings.Repeat("x", 5000), Times: 1 << 62})
	}
	lies.Denials[0].By, lies.Denials[1].Times = 77, -1
	got = FromDenials(lies)
	if len(got) != MostDenials-2 {
		t.Errorf("%d refusals of a worker that lies", len(got))
	}
	for _, d := range got {
		if len(d.Target) > longestTarget || d.Times > MostCount {
			t.Fatalf("a refusal of %d bytes, %d times", len(d.Target), d.Times)
		}
	}
}

// An agent's message never gives a guest more than it says, even if a worker does not understand
// all of it.
func TestWhatIsNotUnderstoodAllowsNothing(t *testing.T) {
	bad := &workerpb.Prefix{Address: []byte{1, 2}, Bits: 900}
	good := toPrefix(netip.MustParsePrefix("10.0.0.0/8"))
	rules := fromRules(&workerpb.Rules{List: []*workerpb.Rule{{
		Blocks: []*workerpb.Block{{Prefix: bad}, {Prefix: good, Except: []*workerpb.Prefix{bad}}},
		Ports:  []*workerpb.PortRange{{First: 70000, Last: 80000}},
	}}})
	want := &runtime.Rules{List: []runtime.Rule{{Ports: []runtime.PortRange{{}}}}}
	if diff := cmp.Diff(want, rules, addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzFromNetworkUpdate(f *testing.F) {
	var u runtime.NetworkUpdate
	fill(reflect.ValueOf(&u).Elem())
	for _, p := range ToNetworkUpdate(u, 1) {
		data, err := proto.Marshal(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		part := &workerpb.UpdateNetworkRequest{}
		if proto.Unmarshal(data, part) != nil {
			return
		}
		once := FromNetworkUpdate([]*workerpb.UpdateNetworkRequest{part})
		again := FromNetworkUpdate(ToNetworkUpdate(once, 0))
		if diff := cmp.Diff(once.Pods, again.Pods, addresses); diff != "" {
			t.Errorf("what was understood once means something else after it was sent again:\n%s", diff)
		}
	})
}
