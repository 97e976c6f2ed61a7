// Package node keeps the Node object of this machine in the API: registration, status and lease.
//
// Run blocks until its context ends, and waits for the goroutines that it started. One renews the
// lease, and one watches for the deletion of the Node. Everything else happens in Run's own
// goroutine, and depends on what the API server has now: if there is no Node, Run creates it; if
// there is one from before, Run adopts it; if the status differs, Run sends it. So a deleted Node
// is created again, and after an outage the API server gets the present state.
//
// The NodeRestriction admission plugin limits what a node may do to its own Node. It accepts taints
// only at creation, and only some labels below kubernetes.io and k8s.io. So Run adopts an existing
// Node as far as the plugin allows, and logs what it could not set. It does not touch a Node that
// belongs to another kind of kubelet (ErrForeign).
//
// Pressure finds out what the machine is short of. The Node's conditions and the eviction of pods
// depend on it.
package node
