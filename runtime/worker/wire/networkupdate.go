package wire

import (
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// Sizes of updates of the network.
const (
	// updatePart is the size at which a part of an update is full, in bytes. One Service or the
	// rules of one pod may be larger.
	updatePart = 1 << 20
	// setPiece is how many addresses of a set are in one message.
	setPiece = 8192
	// MostUpdate bounds an update, in bytes of its messages. A worker refuses a larger one, because
	// all of it must be in memory at once.
	MostUpdate = 512 << 20
)

// ToNetworkUpdate converts an update to its parts; there is at least one. The first names the
// Watch.
func ToNetworkUpdate(u runtime.NetworkUpdate, watch uint64) []*workerpb.UpdateNetworkRequest {
	p := &parts{list: []*workerpb.UpdateNetworkRequest{{Watch: watch, Reset_: u.Reset}}}
	for _, set := range u.Sets {
		p.addSet(set)
	}
	for _, s := range u.Services {
		m := toService(s)
		last := p.room(m)
		last.Services = append(last.Services, m)
	}
	for _, r := range u.Pods {
		m := rulesOf(r)
		last := p.room(m)
		last.Pods = append(last.Pods, m)
	}
	return p.list
}

// parts are the parts of an update.
type parts struct {
	list []*workerpb.UpdateNetworkRequest
	size int // of the last part
}

// room returns the part that a message is added to.
func (p *parts) room(m proto.Message) *workerpb.UpdateNetworkRequest {
	size := proto.Size(m)
	if p.size > 0 && p.size+size > updatePart {
		p.list, p.size = append(p.list, &workerpb.UpdateNetworkRequest{}), 0
	}
	p.size += size
	return p.list[len(p.list)-1]
}

// addSet adds a set in pieces. Only the first may make the worker forget what the set had.
func (p *parts) addSet(set runtime.AddressSet) {
	for first := true; first || len(set.Add)+len(set.Remove) > 0; first = false {
		remove := set.Remove[:min(len(set.Remove), setPiece)]
		add := set.Add[:min(len(set.Add), setPiece-len(remove))]
		set.Remove, set.Add = set.Remove[len(remove):], set.Add[len(add):]
		m := &workerpb.AddressSet{Name: set.Name, Reset_: set.Reset && first, Add: toPrefixes(add), Remove: toPrefixes(remove)}
		last := p.room(m)
		last.Sets = append(last.Sets, m)
	}
}

// FromNetworkUpdate converts the parts of an update. Pieces of a set that follow each other are one
// set again. An update may have a set twice, with what happened to it one after the other: what was
// added first and removed then must not be added again, as a set has its Remove before its Add.
func FromNetworkUpdate(parts []*workerpb.UpdateNetworkRequest) runtime.NetworkUpdate {
	var u runtime.NetworkUpdate
	for i, p := range parts {
		if i == 0 {
			u.Reset = p.GetReset_()
		}
		for _, m := range p.GetSets() {
			n := len(u.Sets)
			add, remove := fromPrefixes(m.GetAdd()), fromPrefixes(m.GetRemove())
			piece := n > 0 && u.Sets[n-1].Name == m.GetName() && !m.GetReset_()
			if piece && (len(remove) == 0 || len(u.Sets[n-1].Add) == 0) {
				u.Sets[n-1].Add = append(u.Sets[n-1].Add, add...)
				u.Sets[n-1].Remove = append(u.Sets[n-1].Remove, remove...)
				continue
			}
			u.Sets = append(u.Sets, runtime.AddressSet{Name: m.GetName(), Reset: m.GetReset_(), Add: add, Remove: remove})
		}
		for _, m := range p.GetServices() {
			u.Services = append(u.Services, fromService(m))
		}
		for _, m := range p.GetPods() {
			u.Pods = append(u.Pods, fromPodRules(m))
		}
	}
	return u
}

func toService(s runtime.Service) *workerpb.NetworkService {
	m := &workerpb.NetworkService{Name: s.Name, Affinity: int64(s.Affinity), Addresses: toAddresses(s.Addresses)}
	for _, p := range s.Ports {
		m.Ports = append(m.Ports, &workerpb.ServicePort{
			Protocol: toProtocol(p.Protocol), Number: uint32(p.Number), Endpoints: toEndpoints(p.Endpoints),
		})
	}
	return m
}

func fromService(m *workerpb.NetworkService) runtime.Service {
	s := runtime.Service{Name: m.GetName(), Affinity: time.Duration(max(0, m.GetAffinity())), Addresses: fromAddresses(m.GetAddresses())}
	for _, p := range m.GetPorts() {
		s.Ports = append(s.Ports, runtime.ServicePort{
			Port:      runtime.Port{Protocol: fromProtocol(p.GetProtocol()), Number: port(p.GetNumber())},
			Endpoints: fromEndpoints(p.GetEndpoints()),
		})
	}
	return s
}

// Bounds of the refusals that a worker tells.
const (
	MostDenials   = 1024 // in a message; those beyond are dropped
	longestTarget = 300  // the same as in runtime.Denial
)

var deciders = []workerpb.Denial_Decider{
	runtime.ByEgress: workerpb.Denial_EGRESS,
	runtime.ByLimit:  workerpb.Denial_LIMIT,
	runtime.ByPolicy: workerpb.Denial_POLICY,
}

// ToDenials converts refusals to messages, each with at most MostDenials of them.
func ToDenials(denials []runtime.PodDenial) []*workerpb.DenialsResponse {
	var out []*workerpb.DenialsResponse
	for chunk := range slices.Chunk(denials, MostDenials) {
		m := &workerpb.DenialsResponse{}
		for _, d := range chunk {
			by := workerpb.Denial_EGRESS
			if int(d.By) < len(deciders) {
				by = deciders[d.By]
			}
			m.Denials = append(m.Denials, &workerpb.Denial{
				Pod: strings.ToValidUTF8(d.Pod, "\uFFFD"), Target: strings.ToValidUTF8(clip(d.Target, longestTarget), "\uFFFD"),
				Ingress: d.Ingress, By: by, Audited: d.Audited, Times: d.Times,
			})
		}
		out = append(out, m)
	}
	return out
}

// FromDenials converts a message to refusals, within bounds.
func FromDenials(m *workerpb.DenialsResponse) []runtime.PodDenial {
	var out []runtime.PodDenial
	for i, d := range m.GetDenials() {
		if i == MostDenials {
			break
		}
		by := slices.Index(deciders, d.GetBy())
		if by < 0 || count(d.GetTimes()) == 0 {
			continue
		}
		out = append(out, runtime.PodDenial{Pod: d.GetPod(), Denial: runtime.Denial{
			Target: clip(d.GetTarget(), longestTarget), Ingress: d.GetIngress(),
			By: runtime.Decider(by), Audited: d.GetAudited(), Times: count(d.GetTimes()), //nolint:gosec // an index of deciders
		}})
	}
	return out
}
