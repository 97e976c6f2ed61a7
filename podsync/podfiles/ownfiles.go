package podfiles

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/podsync/events"
	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// ownFiles are the files that each pod has of its own. They have the same path in all its
// containers.
var ownFiles = []string{"hosts", "hostname", "resolv.conf"}

func (d Pod) Volumes() string        { return filepath.Join(d.Dir, "volumes") }
func (d Pod) Etc(name string) string { return filepath.Join(d.Dir, "etc", name) }

// TerminationLog is the file in which a run of the container writes why it ended.
func (d Pod) TerminationLog(container string) string {
	return filepath.Join(d.Container(container), "termination-log")
}

// MakeOwnFiles writes the pod's own files. It does not change files that exist, because containers
// may have written to them. It returns warnings for events.
func (d Pod) MakeOwnFiles(pod *corev1.Pod, host HostFiles, addresses []netip.Addr) (warnings []events.Event, err error) {
	for _, name := range ownFiles {
		path := d.Etc(name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		var text string
		switch name {
		case "hosts":
			text = hostsFile(pod, host.hosts(), addresses, host.DNS.Domain)
		case "hostname":
			text = host.hostname(pod) + "\n"
		case "resolv.conf":
			if text, warnings, err = host.DNS.resolvConf(pod); err != nil {
				return nil, err
			}
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, fmt.Errorf("making the pod's /etc/%s: %w", name, err)
		}
		err := os.WriteFile(path+".part", []byte(text), 0o644)
		if err == nil {
			err = os.Rename(path+".part", path)
		}
		if err != nil {
			return nil, fmt.Errorf("making the pod's /etc/%s: %w", name, err)
		}
	}
	return warnings, nil
}

// OwnMounts are the mounts of the pod's own files in a run, and of the run's termination log. It
// makes the termination log.
func (d Pod) OwnMounts(pod *corev1.Pod, c *corev1.Container) ([]runtime.Mount, error) {
	var mounts []runtime.Mount
	show := func(host, guest string) error {
		real, err := filepath.EvalSymlinks(host) // only the agent makes folders on this path
		mounts = append(mounts, runtime.Mount{Host: real, Guest: guest})
		return err
	}
	for _, name := range ownFiles {
		if err := show(d.Etc(name), "/etc/"+name); err != nil {
			return nil, fmt.Errorf("showing the pod's /etc/%s: %w", name, err)
		}
	}
	if at := terminationPath(c); at != "/" {
		log := d.TerminationLog(c.Name)
		if err := os.WriteFile(log, nil, 0o666); err != nil {
			return nil, fmt.Errorf("making the container's termination log: %w", err)
		}
		if err := show(log, at); err != nil {
			return nil, fmt.Errorf("showing the container's termination log: %w", err)
		}
	}
	return mounts, nil
}

// terminationPath is the path of the termination log as the guest sees it. It is empty for /.
func terminationPath(c *corev1.Container) string {
	if c.TerminationMessagePath == "" {
		return corev1.TerminationMessagePathDefault
	}
	return volume.GuestPath(c.TerminationMessagePath)
}

// HostFiles are the sources of pods' own files: the node's files and the settings of DNS. A file of
// the node that is unreadable counts as empty.
type HostFiles struct {
	Etc string
	DNS DNS
}

func (h HostFiles) hosts() string { return h.read("hosts") }

// hostname is the content of a pod's /etc/hostname. A pod in the host's network gets the host's.
func (h HostFiles) hostname(pod *corev1.Pod) string {
	name, domain := podspec.Hostname(pod), podspec.Domain(pod, h.DNS.Domain)
	switch {
	case pod.Spec.HostNetwork:
		if own, err := os.Hostname(); err == nil {
			return own
		}
	case domain != "" && ptr.Deref(pod.Spec.SetHostnameAsFQDN, false):
		return name + "." + domain
	}
	return name
}

func (h HostFiles) read(name string) string {
	text, err := os.ReadFile(filepath.Join(h.Etc, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "# The node cannot read its own /etc/" + name + ".\n"
	}
	return string(text)
}
