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

// rights remembers with whose credentials images were pulled. So it knows who may have them without
// asking the registry again. An image without a record is older than the records and counts as
// preloaded. The kubelet treats images that it has not pulled itself in the same way.
type rights struct {
	dir     string
	verify  Verification
	allowed []string
	preload bool       // what is pulled is preloaded
	mu      sync.Mutex // of who changes a file; another process that does so at the same time only makes for one more pull
}

// right is what is remembered of an image, as stored.
type right struct {
	Image     string  `json:"image"`               // its ID, REPOSITORY@DIGEST
	All       bool    `json:"all,omitempty"`       // it was had with nothing, or with what every pod of the node may use
	Preloaded bool    `json:"preloaded,omitempty"` // it was had by no pod
	Grants    []grant `json:"grants,omitempty"`    // the oldest first
}

// grant is one credential with which an image was pulled.
type grant struct {
	Owner credentials.Owner `json:"owner"`
	Hash  string            `json:"hash,omitempty"` // of a Secret's
}

func grantOf(c credentials.Credential) grant {
	g := grant{Owner: c.Owner}
	if c.Owner.Kind == credentials.Secret {
		g.Hash = c.Hash()
	}
	return g
}

// covers reports whether what was granted holds for another credential. A Secret's password may
// have been renewed, and several Secrets may hold one. A ServiceAccount's credentials are new each
// time, and belong to it alone.
func (g grant) covers(other grant) bool {
	return g.Owner == other.Owner || g.Hash != "" && g.Hash == other.Hash
}

// maxGrants limits what is remembered of one image. An owner that is forgotten asks the registry
// again.
const maxGrants = 256

func (r *rights) path(id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(r.dir, hex.EncodeToString(sum[:])+".json")
}

// may reports whether the owner of keys may have an image, which is given by its ID and as it was
// asked for. Keys are asked only if the answer depends on them.
func (r *rights) may(ctx context.Context, id, image, repository string, keys distribution.Keys) (bool, error) {
	if r.verify == NeverVerify || r.verify == NeverVerifyAllowlistedImages && allowed(r.allowed, image) {
		return true, nil
	}
	has, err := r.get(id)
	if errors.Is(err, fs.ErrNotExist) {
		has, err = right{Preloaded: true}, nil
	}
	if err != nil {
		return false, nil // pulling again mends it
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
				err = r.grant(id, c) // the next who shows one of the two is known as well
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

// grant remembers that an image was had with a credential.
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
	if err != nil || has.All || r.preload { // if that is lost, the image counts as preloaded all the same
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
