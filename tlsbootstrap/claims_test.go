package tlsbootstrap

import (
	"path/filepath"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/certificate"
)

// TestServingRequestsOfANode: a node may create a request for a serving certificate under a name
// that another node's request would have. It may ask only for its own identity.
//
// docs/security.md: "Any node may ask for one, under any name that is free, `OTHER-tls` among them"
// docs/security.md: "The API server takes no request of a node whose common name is another
// node's."
func TestServingRequestsOfANode(t *testing.T) {
	w := newWorld(t)
	client := clientOf(t, w.joined().Config())
	key, err := pendingKey{filepath.Join(t.TempDir(), "key")}.load()
	if err != nil {
		t.Fatal(err)
	}
	dns, ips := w.cfg.servingNames()
	r := request{
		client: client, log: w.cfg.Log, key: key, name: "other-" + w.cfg.NodeName + "-tls", signer: certificatesv1.KubeletServingSignerName,
		cn: w.cfg.commonName(), dns: dns, ips: ips, usages: certificate.DefaultKubeletServingGetUsages(key),
	}
	if _, err := r.create(t.Context(), r.name); err != nil {
		t.Errorf("by another's name: %v", err)
	}
	r.cn = "system:node:other-" + w.cfg.NodeName
	if _, err := r.create(t.Context(), "as-"+r.name); !apierrors.IsForbidden(err) {
		t.Errorf("as another: %v", err)
	}
}
