package network

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// TestForgottenPod: a guest that still runs when its pod is forgotten does not get the rules of its
// start back, which allowed more. A guest that starts afterwards has its own.
func TestForgottenPod(t *testing.T) {
	closed := runtime.PodRules{Pod: "uid", Ingress: &runtime.Rules{}, Egress: &runtime.Rules{}}
	local, other := at("10.244.3.5:8080"), at("10.244.9.9:4321")
	for name, update := range map[string]runtime.NetworkUpdate{
		"deleted":                   {Pods: []runtime.PodRules{{Pod: "uid", Gone: true}}},
		"unknown to the next agent": known(),
	} {
		c := newCluster(t, known())
		n := newNetwork(t, c, "uid", ofPod("*", "*"))
		wants(t, "before the policy", n.Accept(runtime.TCP, local, other), nil)
		c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{closed}})
		wants(t, "with the policy", n.Accept(runtime.TCP, local, other), wasi.ErrAccess)
		c.Apply(update)
		wants(t, name+": in", n.Accept(runtime.TCP, local, other), wasi.ErrAccess)
		_, err := n.Connect(runtime.TCP, at("8.8.8.8:53"))
		wants(t, name+": out", err, wasi.ErrAccess)
		later := newNetwork(t, c, "uid", ofPod("*", "*"))
		wants(t, name+": a later guest", later.Accept(runtime.TCP, local, other), nil)
		c.Apply(runtime.NetworkUpdate{Pods: []runtime.PodRules{{Pod: "uid"}}})
		wants(t, name+": known again", n.Accept(runtime.TCP, local, other), nil)
	}
}
