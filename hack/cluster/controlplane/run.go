package controlplane

import (
	"context"
	"fmt"
	"os"
	"slices"
)

// Run runs a cluster until ctx ends, which is not an error, or until its start fails. See the
// package comment for its promises.
func Run(ctx context.Context, settings Settings) (err error) {
	if err := settings.validate(); err != nil {
		return err
	}
	dir, err := openWorkdir(settings.Dir)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := dir.close(settings.Keep); err == nil && closeErr != nil {
			err = fmt.Errorf("removing the cluster's files: %w", closeErr)
		}
	}()
	ports, err := takePorts(settings.Port)
	if err != nil {
		return err
	}
	defer ports.close()
	pods, err := takePodRange()
	if err != nil {
		return err
	}
	defer pods.close()
	// Both ends close on exec. The children inherit a copy of the reading end.
	lifeline, held, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making the pipe that ties the components to this process: %w", err)
	}
	defer held.Close()
	defer lifeline.Close()

	plane := &plane{dir: dir, ports: ports, pods: pods, lifeline: lifeline, progress: func(format string, args ...any) {
		fmt.Fprintf(settings.Progress, "cluster: "+format+"\n", args...)
	}}
	defer plane.stop()
	if err := plane.start(ctx); err != nil {
		if ctx.Err() != nil {
			// A cluster that is stopped while it starts has not failed.
			return nil
		}
		return err
	}
	for _, c := range plane.components {
		c.supervise(plane.progress)
	}
	settings.Ready(dir.join(adminKubeconfig))
	<-ctx.Done()
	return nil
}

// plane is a control plane that starts, runs or stops.
type plane struct {
	dir      *workdir
	ports    ports
	pods     podRange
	lifeline *os.File
	progress func(string, ...any)
	// components are in the order of their launch.
	components []*component
}

// start starts all components and makes the objects that the cluster needs.
func (p *plane) start(ctx context.Context) error {
	if err := p.writeFiles(); err != nil {
		return err
	}
	for _, step := range [][]string{{etcd}, {apiServer}, {controllerManager, scheduler}} {
		p.progress("starting %s", step)
		var started []*component
		for _, name := range step {
			c, err := p.newComponent(name)
			if err != nil {
				return fmt.Errorf("preparing %s: %w", name, err)
			}
			p.components = append(p.components, c)
			if err := c.launch(); err != nil {
				return err
			}
			started = append(started, c)
		}
		if err := waitHealthy(ctx, p.components, started); err != nil {
			return err
		}
	}
	p.progress("making the first objects")
	return bootstrap(ctx, p.dir.join(adminKubeconfig))
}

// writeFiles writes all files that the components read.
func (p *plane) writeFiles() error {
	p.progress("making certificates")
	if err := makePKI(p.dir.join("pki")); err != nil {
		return err
	}
	server := p.ports.apiServer.url()
	for file, client := range map[string]string{
		adminKubeconfig:                          "admin",
		"pki/kube-controller-manager.kubeconfig": controllerManager,
		"pki/kube-scheduler.kubeconfig":          scheduler,
	} {
		if err := writeKubeconfig(p.dir, file, client, server); err != nil {
			return err
		}
	}
	if err := p.dir.write(schedulerConfig, schedulerConfiguration(p.dir)); err != nil {
		return fmt.Errorf("writing the scheduler's configuration: %w", err)
	}
	return nil
}

func (p *plane) newComponent(name string) (*component, error) {
	c := &component{name: name, dir: p.dir, lifeline: p.lifeline}
	ca, client, url := "ca", "admin", ""
	switch name {
	case etcd:
		c.args = etcdArguments(p.dir, p.ports)
		ca, client, url = "etcd-ca", "etcd-client", p.ports.etcd.url()+"/health"
	case apiServer:
		c.args = apiServerArguments(p.dir, p.ports)
		url = p.ports.apiServer.url() + "/readyz"
	case controllerManager:
		c.args = controllerManagerArguments(p.dir, p.ports, p.pods)
		url = p.ports.controllerManager.url() + "/healthz"
	case scheduler:
		c.args = schedulerArguments(p.dir, p.ports)
		url = p.ports.scheduler.url() + "/readyz"
	}
	var err error
	c.healthy, err = healthCheck(p.dir.join("pki"), ca, client, url)
	return c, err
}

// stop ends the components. A component that depends on another one ends first. The scheduler and
// the controller manager do not depend on each other.
func (p *plane) stop() {
	if len(p.components) > 0 {
		p.progress("stopping")
	}
	for _, c := range slices.Backward(p.components) {
		c.stop()
	}
}
