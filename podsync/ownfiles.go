package podsync

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

func (d podDirs) volumes() string        { return filepath.Join(d.pod, "volumes") }
func (d podDirs) etc(name string) string { return filepath.Join(d.pod, "etc", name) }

// terminationLog is where a run of the container says why it ended.
func (d podDirs) terminationLog(container string) string {
	return filepath.Join(d.container(container), "termination-log")
}

// makeOwnFiles writes the pod's own files. Those that are there already are left: containers may write to them. It returns what
// is to be told of them.
func (d podDirs) makeOwnFiles(pod *corev1.Pod, host hostFiles, addresses []netip.Addr) (warnings []events.Event, err error) {
	for _, name := range ownFiles {
		path := d.etc(name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		var text string
		switch name {
		case "hosts":
			text = hostsFile(pod, host.hosts(), addresses, host.dns.Domain)
		case "hostname":
			text = host.hostname(pod) + "\n"
		case "resolv.conf":
			if text, warnings, err = host.dns.resolvConf(pod); err != nil {
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

// ownMounts shows a run the pod's own files, and the one in which it may say why it ended, which it makes.
func (d podDirs) ownMounts(pod *corev1.Pod, c *corev1.Container) ([]runtime.Mount, error) {
	var mounts []runtime.Mount
	show := func(host, guest string) error {
		real, err := filepath.EvalSymlinks(host) // only the agent makes what leads there
		mounts = append(mounts, runtime.Mount{Host: real, Guest: guest})
		return err
	}
	for _, name := range ownFiles {
		if err := show(d.etc(name), "/etc/"+name); err != nil {
			return nil, fmt.Errorf("showing the pod's /etc/%s: %w", name, err)
		}
	}
	if at := terminationPath(c); at != "/" {
		log := d.terminationLog(c.Name)
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

// hostFiles are what pods' own files are made from: those of the node, of which one that cannot be read is empty, and how
// names are found.
type hostFiles struct {
	etc string
	dns DNS
}

func (h hostFiles) hosts() string { return h.read("hosts") }

// hostname is what a pod finds in its /etc/hostname: on the host's network, the host's.
func (h hostFiles) hostname(pod *corev1.Pod) string {
	name, domain := podspec.Hostname(pod), podspec.Domain(pod, h.dns.Domain)
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

func (h hostFiles) read(name string) string {
	text, err := os.ReadFile(filepath.Join(h.etc, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "# The node cannot read its own /etc/" + name + ".\n"
	}
	return string(text)
}
