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

// Files that each pod has of its own, at the same place in all of its containers.
var ownFiles = []string{"hosts", "hostname", "resolv.conf"}

func (d Pod) Volumes() string        { return filepath.Join(d.Dir, "volumes") }
func (d Pod) Etc(name string) string { return filepath.Join(d.Dir, "etc", name) }

// TerminationLog is where a run of the container says why it ended.
func (d Pod) TerminationLog(container string) string {
	return filepath.Join(d.Container(container), "termination-log")
}

// MakeOwnFiles writes the pod's own files. Those that are there already are left: containers may
// write to them. It returns what is to be told of them.
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

// OwnMounts shows a run the pod's own files, and the one in which it may say why it ended, which it
// makes.
func (d Pod) OwnMounts(pod *corev1.Pod, c *corev1.Container) ([]runtime.Mount, error) {
	var mounts []runtime.Mount
	show := func(host, guest string) error {
		real, err := filepath.EvalSymlinks(host) // only the agent makes what leads there
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

// terminationPath is where the guest finds its termination log; / is nowhere.
func terminationPath(c *corev1.Container) string {
	if c.TerminationMessagePath == "" {
		return corev1.TerminationMessagePathDefault
	}
	return volume.GuestPath(c.TerminationMessagePath)
}

// HostFiles are what pods' own files are made from: those of the node, of which one that cannot be
// read is empty, and how names are found.
type HostFiles struct {
	Etc string
	DNS DNS
}

func (h HostFiles) hosts() string { return h.read("hosts") }

// hostname is what a pod finds in its /etc/hostname: on the host's network, the host's.
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
