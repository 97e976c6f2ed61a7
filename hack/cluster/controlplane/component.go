package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

const (
	// startTimeout is the time for one component to become healthy. With a cold disk and two busy
	// processors, the slowest one needs 20 s.
	startTimeout = 60 * time.Second
	// stopTimeout is the time for one component to exit after SIGTERM. The API server would wait a
	// minute for clients that watch. Its data will be removed, so it need not.
	stopTimeout = 2 * time.Second
	// restartDelay is the time between the exit of a component and its next start.
	restartDelay = time.Second
	// probeInterval is the time between two checks of a component that starts.
	probeInterval = 50 * time.Millisecond
	// logTail is how much of a component's log an error shows.
	logTail = 4096
)

const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
)

// componentNames are in the order of start.
var componentNames = []string{etcd, apiServer, controllerManager, scheduler}

// component is one of the programs of the control plane, run as a child.
//
// It has one owner at a time: first the goroutine that started it, then the goroutine of supervise,
// and after release the first one again.
type component struct {
	name    string
	args    []string
	healthy func(context.Context) error
	dir     *workdir
	// lifeline is the end of the pipe that the child inherits. See DieWithParent.
	lifeline *os.File

	running *child
	release func()
}

// child is one process of a component.
type child struct {
	cmd *exec.Cmd
	// gone is closed when the child has exited. Then err says how.
	gone chan struct{}
	err  error
}

// launch starts the child. The child's output is added to the component's log.
func (c *component) launch() error {
	log, err := os.OpenFile(c.dir.join(c.name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("starting %s: %w", c.name, err)
	}
	defer log.Close()
	// Not os.Executable: this is the binary that runs now, even if a build has replaced the file.
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{"cluster", c.name}, c.args...)
	cmd.Dir = c.dir.path
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{c.lifeline}
	cmd.Env = append(os.Environ(), lifelineVariable+"=3")
	// With its own group, Ctrl-C reaches only the supervisor, which stops the components in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", c.name, err)
	}
	pid := strconv.Itoa(cmd.Process.Pid) + "\n"
	if err := c.dir.write(c.name+".pid", []byte(pid)); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return fmt.Errorf("starting %s: %w", c.name, err)
	}
	life := &child{cmd: cmd, gone: make(chan struct{})}
	c.running = life
	// This goroutine ends with the child. stop waits for that.
	go func() {
		life.err = cmd.Wait()
		close(life.gone)
	}()
	return nil
}

// died reports how the child exited, or nil if it still runs.
func (c *component) died() error {
	select {
	case <-c.running.gone:
		if c.running.err == nil {
			return errors.New("exit status 0")
		}
		return c.running.err
	default:
		return nil
	}
}

// supervise starts the component again each time it exits, until release is called.
func (c *component) supervise(progress func(string, ...any)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	c.release = func() {
		cancel()
		<-done
	}
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-c.running.gone:
			}
			_ = os.Remove(c.dir.join(c.name + ".pid"))
			progress("%s died (%v), starting it again in %v", c.name, c.died(), restartDelay)
			select {
			case <-ctx.Done():
				return
			case <-time.After(restartDelay):
			}
			// If the launch failed, running is still the child that exited, so the next round tries
			// again.
			if err := c.launch(); err != nil {
				progress("%v", err)
			}
		}
	}()
}

// stop ends the component. If that takes too long, it kills the component.
func (c *component) stop() {
	if c.release != nil {
		c.release()
	}
	if c.running == nil {
		return
	}
	_ = c.running.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.running.gone:
	case <-time.After(stopTimeout):
		_ = c.running.cmd.Process.Kill()
		<-c.running.gone
	}
	_ = os.Remove(c.dir.join(c.name + ".pid"))
}

// failed is an error about the component, with the end of its log.
func (c *component) failed(cause error) error {
	name := c.dir.join(c.name + ".log")
	return fmt.Errorf("%s did not become healthy: %w; the end of its log:\n%s", c.name, cause, tail(name, logTail))
}

// tail is the last lines of a file, at most size bytes.
func tail(name string, size int64) string {
	file, err := os.Open(name)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err.Error()
	}
	start := max(0, info.Size()-size)
	content := make([]byte, info.Size()-start)
	n, _ := file.ReadAt(content, start)
	return string(content[:n])
}
