package node

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// sync brings the Node in the API into the wanted state: it exists, is adopted, and has the present
// status.
func (n *Node) sync(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	m, err := readMachine(n.machineRoot, n.cfg.DataDir)
	if err != nil {
		return err
	}
	notReady := n.cfg.Ready()
	node, err := n.client.CoreV1().Nodes().Get(ctx, n.cfg.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return n.create(ctx, m, notReady)
	}
	if err != nil {
		return fmt.Errorf("getting the Node: %w", err)
	}
	if node.UID != n.adopted {
		if err := n.adopt(ctx, node); err != nil {
			return err
		}
	}
	return n.report(ctx, node, m, notReady)
}

// create registers a Node if there is none.
func (n *Node) create(ctx context.Context, m machine, notReady error) error {
	now := time.Now()
	node := newNode(n.cfg)
	node.Status = buildStatus(n.cfg, m, notReady, now, &corev1.NodeStatus{})
	created, err := n.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating the Node: %w", err)
	}
	n.log.Info("registered the node", zap.String("uid", string(created.UID)))
	n.own(created.UID)
	n.lastSent = now
	n.reportReadiness(&corev1.NodeStatus{}, &created.Status)
	return nil
}

func newNode(cfg Config) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: cfg.Name, Labels: allLabels(cfg), Annotations: annotations()},
		Spec:       corev1.NodeSpec{Taints: slices.Clone(cfg.Taints)},
	}
}

func (n *Node) own(uid types.UID) {
	n.adopted = uid
	n.uid.Store(&uid)
}

// adopt takes over a Node that existed before. It sets labels and annotations, and leaves other
// ones as they are. It does not change taints, because a node may not change its own.
func (n *Node) adopt(ctx context.Context, node *corev1.Node) error {
	if arch := node.Status.NodeInfo.Architecture; arch != "" && arch != architecture {
		return fmt.Errorf("%w: %s runs %s on %s; take another node name, or delete that Node",
			ErrForeign, n.cfg.Name, node.Status.NodeInfo.KubeletVersion, arch)
	}
	if missing := missingTaints(n.cfg.Taints, node.Spec.Taints); len(missing) > 0 {
		n.log.Warn("the Node exists without some taints, and a node may not change its own: set them with kubectl taint node, or delete the Node, so that it is made again",
			zap.Strings("taints", missing))
	}
	changes := metadataChanges(n.cfg, node)
	if changes != nil {
		patch, err := json.Marshal(map[string]any{"metadata": changes})
		if err != nil {
			return fmt.Errorf("encoding the labels of the Node: %w", err)
		}
		_, err = n.client.CoreV1().Nodes().Patch(ctx, n.cfg.Name, types.MergePatchType, patch, metav1.PatchOptions{})
		if apierrors.IsForbidden(err) || apierrors.IsInvalid(err) {
			n.log.Warn("the Node exists and its labels could not be set", zap.Any("wanted", changes), zap.Error(err))
		} else if err != nil {
			return fmt.Errorf("setting the labels of the Node: %w", err)
		}
	}
	n.log.Info("adopted the node", zap.String("uid", string(node.UID)))
	n.own(node.UID)
	return nil
}

// metadataChanges is a merge patch for the metadata. It has the UID, so that it fails for another
// Node of the same name. It is nil if nothing must change.
func metadataChanges(cfg Config, node *corev1.Node) map[string]any {
	differing := func(want, have map[string]string) map[string]string {
		want = maps.Clone(want)
		maps.DeleteFunc(want, func(key, value string) bool {
			current, ok := have[key]
			return ok && current == value
		})
		return want
	}
	changes := map[string]any{}
	if labels := differing(allLabels(cfg), node.Labels); len(labels) > 0 {
		changes["labels"] = labels
	}
	// A controller changes the ttl annotation when the cluster grows. So it is not set again if it
	// exists.
	wanted := annotations()
	if _, ok := node.Annotations["node.alpha.kubernetes.io/ttl"]; ok {
		delete(wanted, "node.alpha.kubernetes.io/ttl")
	}
	if annotations := differing(wanted, node.Annotations); len(annotations) > 0 {
		changes["annotations"] = annotations
	}
	if len(changes) == 0 {
		return nil
	}
	changes["uid"] = node.UID
	return changes
}

// missingTaints lists the wanted taints that the Node does not have, as kubectl writes them.
func missingTaints(want, have []corev1.Taint) []string {
	var missing []string
	for _, t := range want {
		if !slices.ContainsFunc(have, func(h corev1.Taint) bool { return h.MatchTaint(&t) && h.Value == t.Value }) {
			missing = append(missing, t.ToString())
		}
	}
	return missing
}

// report sends the status if that is necessary.
func (n *Node) report(ctx context.Context, node *corev1.Node, m machine, notReady error) error {
	now := time.Now()
	status := buildStatus(n.cfg, m, notReady, now, &node.Status)
	if !worthSending(&node.Status, &status, n.lastSent, now) {
		return nil
	}
	patch, err := statusPatch(node, &status)
	if err != nil {
		return fmt.Errorf("encoding the Node's status: %w", err)
	}
	_, err = n.client.CoreV1().Nodes().Patch(ctx, n.cfg.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("sending the Node's status: %w", err)
	}
	n.lastSent = now
	n.reportReadiness(&node.Status, &status)
	return nil
}

// statusPatch returns a strategic merge patch that gives a Node this status. It fails if the Node
// was deleted and created again meanwhile. It replaces the whole list of addresses. A merge would
// go by the type of an address, and a node may have two addresses of one type.
func statusPatch(node *corev1.Node, status *corev1.NodeStatus) ([]byte, error) {
	before, err := json.Marshal(corev1.Node{Status: node.Status})
	if err != nil {
		return nil, err
	}
	after, err := json.Marshal(corev1.Node{Status: *status})
	if err != nil {
		return nil, err
	}
	diff, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Node{})
	if err != nil {
		return nil, err
	}
	var patch map[string]any
	if err := json.Unmarshal(diff, &patch); err != nil {
		return nil, err
	}
	patch["metadata"] = map[string]any{"uid": node.UID}
	if fields, ok := patch["status"].(map[string]any); ok && !slices.Equal(node.Status.Addresses, status.Addresses) {
		delete(fields, "$setElementOrder/addresses")
		addresses := make([]any, 0, len(status.Addresses)+1)
		for _, a := range status.Addresses {
			addresses = append(addresses, a)
		}
		fields["addresses"] = append(addresses, map[string]string{"$patch": "replace"})
	}
	return json.Marshal(patch)
}
