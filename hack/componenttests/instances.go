package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/componentengine"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// A call of a test takes milliseconds.
const callTime = 10 * time.Second

// action is a call of an export of an instance.
type action struct {
	Field  string  `json:"field"`
	Module string  `json:"module"`
	Args   []value `json:"args"`
}

// program is a component that can be instantiated.
type program struct {
	linked *link.Component
	engine *componentengine.Engine
}

// world is what the commands of a test made.
type world struct {
	dir      string
	programs map[string]*program
	named    map[string]*instance.Instance
	last     *program
	current  *instance.Instance
	all      []*instance.Instance
	said     error // what the last command trapped with
	refused  bool  // the last component does not run here
}

var verbose = os.Getenv("V") != ""

// mustTrap returns an error if a command ended without one.
func (w *world) mustTrap(c command, err error) error {
	w.said = err
	if err == nil {
		return fmt.Errorf("it did not trap, wanted %q", c.Text)
	}
	if errors.Is(err, errNoProgram) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, binary.ErrUnsupported) {
		return err
	}
	return nil
}

func newWorld(dir string) *world {
	return &world{dir: dir, programs: map[string]*program{}, named: map[string]*instance.Instance{}}
}

func (w *world) close() {
	for _, x := range w.all {
		x.Close()
	}
}

type noHost struct{}

var errNoHost = errors.New("the tests have no host")

func (noHost) Function(string, string, *types.Func) (canon.Stub, error) { return nil, errNoHost }

func (w *world) load(file string) (*program, error) {
	data, err := os.ReadFile(filepath.Join(w.dir, file))
	if err != nil {
		return nil, err
	}
	c, err := binary.Decode(data)
	if err != nil {
		return nil, err
	}
	linked, err := link.LinkTolerantly(c)
	if errors.Is(err, link.ErrNotOfHost) {
		return nil, nil // it is only defined
	}
	if err != nil {
		return nil, err
	}
	engine, err := componentengine.New(linked.Plan)
	if err != nil {
		return nil, err
	}
	return &program{linked, engine}, nil
}

func (w *world) instantiate(p *program, name string) error {
	w.current = nil
	bound, err := instance.Bind(p.linked, noHost{})
	if err != nil {
		return err
	}
	x, err := instance.New(bound, p.engine, nil)
	if err != nil {
		return err
	}
	w.current = x
	w.all = append(w.all, x)
	if name != "" {
		w.named[name] = x
	}
	return nil
}

// define runs a command that defines a component, and instantiates it if it is a module.
func (w *world) define(c command) error {
	p, err := w.load(c.Filename)
	w.last, w.current = p, nil
	if err != nil {
		return err
	}
	w.programs[c.Name] = p
	if c.Type == "module" {
		return w.instantiate(p, c.Name)
	}
	return nil
}

var errNoProgram = errors.New("the component was not loaded")

func (w *world) instance(c command) error {
	p := w.last
	if c.Module != "" {
		p = w.programs[strings.TrimPrefix(c.Module, "$")]
	}
	w.current = nil
	if p == nil {
		return errNoProgram
	}
	return w.instantiate(p, c.Instance)
}

// invoke calls an export and compares what it returns.
func (w *world) invoke(c command, compare bool) error {
	x := w.current
	if c.Action.Module != "" {
		x = w.named[strings.TrimPrefix(c.Action.Module, "$")]
	}
	if x == nil {
		return errNoProgram
	}
	f := x.Exports().Func(c.Action.Field)
	if f == nil {
		return fmt.Errorf("there is no function %q", c.Action.Field)
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	got := ""
	err := x.Call(ctx, f, func(args canon.Place) {
		for i, a := range c.Action.Args {
			put(args.Field(i), a)
		}
	}, func(result canon.Value) { got = text(result) })
	if err != nil || !compare || f.Type.Result == nil || len(c.Expected) == 0 {
		return err
	}
	if want := wanted(f.Type.Result, c.Expected[0]); got != want {
		return fmt.Errorf("it returned %s, wanted %s", got, want)
	}
	return nil
}

// step runs a command that needs instances.
func (w *world) step(c command) (result, why string) {
	var err error
	w.said = nil
	switch c.Type {
	case "module", "module_definition":
		if c.ModuleType == "text" {
			return passed, ""
		}
		err = w.define(c)
	case "module_instance":
		err = w.instance(c)
	case "assert_return", "action":
		err = w.invoke(c, c.Type == "assert_return")
	case "assert_trap":
		err = w.mustTrap(c, w.invoke(c, false))
	case "assert_uninstantiable":
		err = w.mustTrap(c, w.define(command{Type: "module", Filename: c.Filename}))
	default:
		return notRun, ""
	}
	if errors.Is(err, errNoProgram) && w.refused {
		return unsupported, "the component was refused"
	}
	if errors.Is(err, instance.ErrThreads) || errors.Is(w.said, instance.ErrThreads) {
		return unsupported, instance.ErrThreads.Error()
	}
	if err != nil {
		return failed, err.Error()
	}
	if verbose && w.said != nil {
		return passed, fmt.Sprintf("%v | %s", w.said, c.Text)
	}
	return passed, ""
}
