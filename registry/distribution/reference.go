package distribution

import (
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// LocalPrefix marks a reference to a file on the node, as in Krustlet. The rest is the file's path:
// `fs//srv/hello.wasm` is /srv/hello.wasm, and `fs/hello.wasm` is relative to the agent's working
// directory.
const LocalPrefix = "fs/"

// maxReference is the longest reference, in bytes.
const maxReference = 4096

// Reference is a parsed image reference. It names a file if Path is set, and otherwise something in
// a registry.
type Reference struct {
	Path   string          // of a local module
	Repo   name.Repository // registry and repository
	Tag    string          // only without a digest
	Digest string          // `sha256:…`; of the manifest, or of the local file
}

// The grammar of references. It is stricter than that of package name, which accepts `..`.
var (
	hostForm = regexp.MustCompile(`^([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?$`)
	repoForm = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm  = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}$`)
)

// ParseReference parses an image reference as Kubernetes does. The default registry is docker.io,
// the default tag is latest, and a digest has priority over a tag. Its error is of the class
// ErrInvalidReference.
func ParseReference(image string, hosts HostPolicy) (Reference, error) {
	invalid := func(why string) (Reference, error) {
		return Reference{}, fault.New(fault.ErrInvalidReference, nil, "image %.300q is no valid reference: %s", image, why)
	}
	if len(image) > maxReference {
		return invalid("it is too long")
	}
	rest, digest, digested := strings.Cut(image, "@")
	if digested && !manifest.IsDigest(digest) {
		return invalid("the digest must be sha256: and 64 hexadecimal digits")
	}
	if path, is := strings.CutPrefix(rest, LocalPrefix); is {
		return localReference(path, digest, invalid)
	}
	if strings.Contains(rest, "://") {
		return invalid("it must be REGISTRY/NAME:TAG, without a scheme")
	}
	tag, err := name.NewTag(rest)
	if err != nil {
		return invalid(whyInvalid(rest, err))
	}
	host, repo := tag.RegistryStr(), tag.RepositoryStr()
	switch {
	case !hostForm.MatchString(host):
		return invalid("the registry must be a host name or address, with or without a port")
	case !repoForm.MatchString(repo):
		return invalid(whyInvalid(rest, nil))
	case !tagForm.MatchString(tag.TagStr()):
		return invalid("a tag has at most 128 letters, digits, _ . and -, and starts with none of the last two")
	}
	if hosts.plain(host) {
		if tag, err = name.NewTag(rest, name.Insecure); err != nil {
			return invalid(err.Error())
		}
	}
	ref := Reference{Repo: tag.Repository, Digest: digest}
	if !digested {
		ref.Tag = tag.TagStr()
	}
	return ref, nil
}

// whyInvalid explains why a name is invalid.
func whyInvalid(text string, err error) string {
	repo := text
	if i := strings.LastIndexByte(text, ':'); i > strings.LastIndexByte(text, '/') {
		repo = text[:i]
	}
	switch {
	case text == "":
		return "it is empty"
	case strings.TrimSpace(text) != text:
		return "there is white space around it"
	case repo != strings.ToLower(repo):
		return "repository names are lower case"
	case err != nil:
		return err.Error()
	}
	return "repository names are letters and digits, divided by / . _ or -"
}

// localReference parses the reference of a local module. A tag is ignored, as in Krustlet.
func localReference(path, digest string, invalid func(string) (Reference, error)) (Reference, error) {
	if i := strings.LastIndexByte(path, ':'); i >= 0 && tagForm.MatchString(path[i+1:]) {
		path = path[:i]
	}
	if path == "" || strings.ContainsRune(path, 0) {
		return invalid("fs/ must be followed by the path of a file")
	}
	return Reference{Path: path, Digest: digest}, nil
}

// Repository is the name of the repository in the form that users write.
func (r Reference) Repository() string { return repositoryName(r.Repo) }

func repositoryName(repo name.Repository) string {
	return registryName(repo.Registry) + "/" + repo.RepositoryStr()
}

func registryName(registry name.Registry) string {
	if host := registry.RegistryStr(); host != name.DefaultRegistry {
		return host
	}
	return "docker.io"
}

// Name is the full reference. Equal names mean the same thing.
func (r Reference) Name() string {
	if r.Digest != "" {
		return r.At(r.Digest)
	}
	return r.Repository() + ":" + r.Tag
}

// At is the full name of a manifest in the reference's repository.
func (r Reference) At(manifest string) string { return r.Repository() + "@" + manifest }

// ManifestID is the tag or digest to ask the registry for.
func (r Reference) ManifestID() string {
	if r.Digest != "" {
		return r.Digest
	}
	return r.Tag
}
