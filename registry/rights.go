package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// rights records whose credentials pulled each image. So the store knows who may use an image
// without asking the registry again. An image without a record is older than the records and counts
// as preloaded. The kubelet does the same for images that it has not pulled itself.
type rights struct {
	dir     string
	verify  Verification
	allowed []string
	preload bool       // whether pulled images count as preloaded
	mu      sync.Mutex // held while a file is changed; if another process changes it at the same time, the only harm is one more pull
}

// right is the stored record of an image.
type right struct {
	Image     string  `json:"image"`               // its ID, REPOSITORY@DIGEST
	All       bool    `json:"all,omitempty"`       // it was pulled without credentials, or with credentials that every pod of the node may use
	Preloaded bool    `json:"preloaded,omitempty"` // it was not pulled for a single pod
	Grants    []grant `json:"grants,omitempty"`    // the oldest first
}

// grant is one credential with which an image was pulled.
type grant struct {
	Owner credentials.Owner `json:"owner"`
	Hash  string            `json:"hash,omitempty"` // only for a Secret
}

func grantOf(c credentials.Credential) grant {
	g := grant{Owner: c.Owner}
	if c.Owner.Kind == credentials.Secret {
		g.Hash = c.Hash()
	}
	return g
}

// covers reports whether a grant is also valid for another credential. A Secret's password may have
// been changed, and several Secrets may hold the same one. The credentials of a ServiceAccount are
// different each time, and belong only to it.
func (g grant) covers(other grant) bool {
	return g.Owner == other.Owner || g.Hash != "" && g.Hash == other.Hash
}

// maxGrants limits the grants that are recorded for one image. An owner whose grant was dropped
// asks the registry again.
const maxGrants = 256

func (r *rights) path(id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(r.dir, hex.EncodeToString(sum[:])+".json")
}

// may reports whether the owner of keys may use an image. id is the image's ID, and image the
// reference that was asked for. keys is used only if the answer depends on it.
func (r *rights) may(ctx context.Context, id, image, repository string, keys distribution.Keys) (bool, error) {
	if r.verify == NeverVerify || r.verify == NeverVerifyAllowlistedImages && allowed(r.allowed, image) {
		return true, nil
	}
	has, err := r.get(id)
	if errors.Is(err, fs.ErrNotExist) {
		has, err = right{Preloaded: true}, nil
	}
	if err != nil {
		return false, nil // another pull repairs it
	}
	if has.All || has.Preloaded && r.verify == NeverVerifyPreloadedImages {
		return true, nil
	}
	shown, err := keys.Lookup(ctx, repository)
	if err != nil {
		return false, fault.New(nil, err, "credentials for image %s: %v", repository, err)
	}
	for _, c := range shown {
		given := grantOf(c)
		for _, g := range has.Grants {
			if !g.covers(given) {
				continue
			}
			if g != given {
				err = r.grant(id, c) // so that later either of the two credentials is enough
			}
			return true, err
		}
	}
	return false, nil
}

func (r *rights) get(id string) (right, error) {
	path := r.path(id)
	data, err := readRecord(path)
	if err != nil {
		return right{}, err
	}
	var has right
	if err := json.Unmarshal(data, &has); err != nil {
		return right{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if has.Image != id {
		return right{}, fmt.Errorf("reading %s: %w", path, errDamaged)
	}
	return has, nil
}

// grant records that an image was pulled with a credential.
func (r *rights) grant(id string, c credentials.Credential) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	has, err := r.get(id)
	if err != nil {
		has = right{Image: id}
	}
	given := grantOf(c)
	switch {
	case has.All, r.preload && has.Preloaded:
		return nil
	case r.preload:
		has.Preloaded = true
	case slices.Contains(has.Grants, given):
		return nil
	case c.Owner.Kind == credentials.Node:
		has.All, has.Grants = true, nil
	default:
		has.Grants = slices.DeleteFunc(has.Grants, func(g grant) bool { return g.Owner == c.Owner })
		has.Grants = append(has.Grants, given)
		if n := len(has.Grants); n > maxGrants {
			has.Grants = has.Grants[n-maxGrants:]
		}
	}
	data, err := json.Marshal(has)
	if err != nil {
		return err
	}
	err = writeFile(r.dir, func(f *os.File) (string, error) {
		_, err := f.Write(append(data, '\n'))
		return r.path(id), err
	})
	if err != nil || has.All || r.preload { // if this record is lost, the image counts as preloaded anyway
		return err
	}
	return errors.Join(syncPath(r.path(id)), syncPath(r.dir))
}

func (r *rights) forget(id string) error {
	err := os.Remove(r.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
