package run

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/egress"
)

// In messages, the errors of this file come after the name of a flag of `run`. They say what is
// wrong and what to write instead.

// pullPolicy says when to ask a registry. The words are those of docker run.
type pullPolicy string

const (
	pullAlways  pullPolicy = "always"
	pullMissing pullPolicy = "missing"
	pullNever   pullPolicy = "never"
)

func parsePullPolicy(value string) (pullPolicy, error) {
	switch p := pullPolicy(value); p {
	case pullAlways, pullMissing, pullNever:
		return p, nil
	}
	return "", fmt.Errorf("%q is no pull policy: write %s, %s or %s", value, pullAlways, pullMissing, pullNever)
}

// parseEgress checks a list of egress, and reports whether it allows everything.
func parseEgress(list string) (everything bool, err error) {
	l, err := egress.Parse(list)
	if err != nil {
		return false, err
	}
	return l.Everything(), nil
}

// parseEnv makes the guest's environment. If a key occurs twice, it keeps its position and gets the
// later value. A KEY without a value gets the value of this environment. If it is not set here, it
// is left out, as in docker run.
func parseEnv(values []string, env cmdline.Environment) ([]string, error) {
	var (
		list []string
		errs []error
	)
	for _, v := range values {
		key, _, hasValue := strings.Cut(v, "=")
		if key == "" {
			errs = append(errs, fmt.Errorf("%q has no name: write KEY=VALUE, or KEY for its value here", v))
			continue
		}
		if !hasValue {
			value, set := env(key)
			if !set {
				continue
			}
			v = key + "=" + value
		}
		at := slices.IndexFunc(list, func(old string) bool { return strings.HasPrefix(old, key+"=") })
		if at >= 0 {
			list[at] = v
		} else {
			list = append(list, v)
		}
	}
	return list, errors.Join(errs...)
}

// parseDirs makes the mounts of --dir. It reports paths that do not exist on the host.
func parseDirs(values []string) ([]runtime.Mount, error) {
	var (
		mounts []runtime.Mount
		errs   []error
	)
	for _, v := range values {
		m, err := parseDir(v)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if slices.ContainsFunc(mounts, func(other runtime.Mount) bool { return other.Guest == m.Guest }) {
			errs = append(errs, fmt.Errorf("%q: the guest has something at %s already; write another path there", v, m.Guest))
			continue
		}
		mounts = append(mounts, m)
	}
	return mounts, errors.Join(errs...)
}

func parseDir(value string) (runtime.Mount, error) {
	host, guest, named := strings.Cut(value, "::")
	readOnly := false
	if named {
		for _, mode := range []string{":ro", ":rw"} {
			if short, is := strings.CutSuffix(guest, mode); is {
				guest, readOnly = short, mode == ":ro"
				break
			}
		}
	} else {
		guest = host
	}
	if host == "" || guest == "" {
		return runtime.Mount{}, fmt.Errorf("%q: write HOST, HOST::GUEST or HOST::GUEST:ro", value)
	}
	at, err := parseGuestPath(guest)
	if err != nil && !named {
		return runtime.Mount{}, fmt.Errorf("%q: a guest cannot see a directory under a name with \"..\" in it; write the path that it sees: %s::/data", value, host)
	}
	if err != nil {
		return runtime.Mount{}, err
	}
	abs, err := filepath.Abs(host)
	if err != nil {
		return runtime.Mount{}, fmt.Errorf("%q: %w", value, err)
	}
	info, err := os.Stat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named && strings.Contains(host, ":"):
		return runtime.Mount{}, fmt.Errorf("%q: there is no %s here; the path in the guest stands behind two colons: HOST::GUEST", value, host)
	case errors.Is(err, fs.ErrNotExist):
		return runtime.Mount{}, fmt.Errorf("%q: there is no %s here; make it first", value, abs)
	case err != nil:
		return runtime.Mount{}, fmt.Errorf("%q: %w", value, err)
	case at == "/" && !info.IsDir():
		return runtime.Mount{}, fmt.Errorf("%q: %s is no directory, and the guest's / must be one", value, abs)
	case !info.IsDir() && !info.Mode().IsRegular():
		return runtime.Mount{}, fmt.Errorf("%q: %s is neither a directory nor a regular file", value, abs)
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return runtime.Mount{}, fmt.Errorf("%q: %w", value, err)
	}
	return runtime.Mount{Host: abs, Guest: at, ReadOnly: readOnly}, nil
}

// parseGuestPath makes a path in the guest clean and absolute. A relative path starts at /.
func parseGuestPath(value string) (string, error) {
	switch {
	case value == "":
		return "", errors.New("write a path of the guest, such as /data")
	case strings.ContainsRune(value, 0):
		return "", fmt.Errorf("%q holds a zero byte", value)
	case slices.Contains(strings.Split(value, "/"), ".."):
		return "", fmt.Errorf("%q: write a path of the guest without \"..\", such as /data", value)
	}
	return path.Join("/", value), nil
}

func parseCPU(value string) (int64, error) {
	q, err := resource.ParseQuantity(value)
	if err != nil || q.Sign() <= 0 {
		return 0, fmt.Errorf("%q is no amount of processor time: write cores, such as 0.5 or 500m", value)
	}
	return q.MilliValue(), nil
}

func parseListen(values []string) ([]string, error) {
	var errs []error
	for _, v := range values {
		_, port, err := net.SplitHostPort(v)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%q is no address to listen at: write HOST:PORT, such as 127.0.0.1:8080, or :8080 for every address", v))
		}
	}
	return values, errors.Join(errs...)
}

// parseHTTP reads settings of HTTP handlers.
func parseHTTP(h *runtime.HTTP, values []string) error {
	var errs []error
	for _, v := range values {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			errs = append(errs, fmt.Errorf("a setting has no value: write NAME=VALUE; the names are %s", strings.Join(podspec.HTTPSettings(), ", ")))
			continue
		}
		if err := podspec.SetHTTP(h, name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w; the names are %s", name, err, strings.Join(podspec.HTTPSettings(), ", ")))
		}
	}
	return errors.Join(errs...)
}
