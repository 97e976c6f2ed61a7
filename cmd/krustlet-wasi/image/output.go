package image

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/registry"
)

// view is the printed form of an image. Scripts read it as JSON: later versions may add fields, but
// never rename one.
type view struct {
	ID     string    `json:"id"`
	Tags   []string  `json:"tags"`
	Module string    `json:"module,omitempty"` // digest
	Kind   string    `json:"kind"`             // module, component, or rootfs: modules in a root filesystem
	Size   int64     `json:"size"`             // bytes
	Pulled time.Time `json:"pulled,omitzero"`
	InUse  bool      `json:"inUse"`
}

func viewOf(i registry.Image, used []string) view {
	v := view{ID: i.ID, Tags: i.Tags, Module: i.Module, Kind: "module", Size: i.Size, Pulled: i.Pulled}
	switch {
	case i.Module == "":
		v.Kind = "rootfs"
	case i.Component:
		v.Kind = "component"
	}
	if v.Tags == nil {
		v.Tags = []string{}
	}
	v.InUse = slices.Contains(used, i.ID)
	return v
}

// print prints a value as JSON, or calls text, which prints it.
func (j job) print(value any, text func()) error {
	if !j.json {
		text()
		return nil
	}
	encoder := json.NewEncoder(j.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// table prints images, one line for each tag.
func table(to io.Writer, images []view) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "IMAGE\tDIGEST\tKIND\tSIZE\tPULLED\tIN USE")
	for _, i := range images {
		repository, digest, _ := strings.Cut(i.ID, "@")
		names := i.Tags
		if len(names) == 0 {
			names = []string{repository}
		}
		pulled, inUse := "unknown", "no"
		if !i.Pulled.IsZero() {
			pulled = i.Pulled.Local().Format(time.DateTime)
		}
		if i.InUse {
			inUse = "yes"
		}
		for _, name := range names {
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", name, shortDigest(digest), i.Kind, size(i.Size), pulled, inUse)
		}
	}
	_ = w.Flush() // the user sees a failed write
}

// shortDigest is the beginning of a digest. It is long enough to tell images apart.
func shortDigest(digest string) string {
	return strings.TrimPrefix(digest, "sha256:")[:12]
}

// size is a number of bytes, for people.
func size(bytes int64) string {
	units := []string{"KiB", "MiB", "GiB", "TiB"}
	if bytes < 1<<10 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes)/(1<<10), 0
	for ; value >= 1<<10 && unit < len(units)-1; unit++ {
		value /= 1 << 10
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

func rounded(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

// progress shows the progress: as bars on a terminal, otherwise as lines.
type progress struct {
	lines io.Writer     // nil: nothing is printed
	below io.Writer     // for lines after the bars have ended; nil: nothing is printed
	bars  *mpb.Progress // nil: standard error is not a terminal

	mu    sync.Mutex
	known map[string]*mpb.Bar
	last  []string // lines to print below the bars
}

func (j job) progress() *progress {
	p := &progress{known: map[string]*mpb.Bar{}}
	switch {
	case j.quiet:
	case j.Machine.Terminal:
		p.bars = mpb.New(mpb.WithOutput(j.Stderr), mpb.WithAutoRefresh())
		p.lines, p.below = p.bars, j.Stderr
	default:
		p.lines, p.below = j.Stderr, j.Stderr
	}
	return p
}

// line prints a line above the bars.
func (p *progress) line(format string, args ...any) {
	if p.bars == nil { // bars lock their own output
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	if p.lines != nil {
		_, _ = fmt.Fprintf(p.lines, "krustlet-wasi: "+format+"\n", args...)
	}
}

// result prints a line below the bars, once the bars have ended.
func (p *progress) result(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = append(p.last, fmt.Sprintf("krustlet-wasi: "+format+"\n", args...))
}

// blob shows how much of a blob has arrived.
func (p *progress) blob(name string, done, size int64) {
	if p.bars == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	bar := p.known[name]
	if bar == nil {
		label := path.Base(name)
		if digest, is := strings.CutPrefix(name, "sha256:"); is {
			label = digest[:12]
		}
		bar = p.bars.AddBar(size, mpb.BarWidth(20),
			mpb.PrependDecorators(decor.Name(label, decor.WCSyncSpaceR), decor.Counters(decor.SizeB1024(0), "% .1f / % .1f", decor.WCSyncSpace)),
			mpb.AppendDecorators(decor.Percentage(decor.WCSyncSpace), decor.AverageSpeed(decor.SizeB1024(0), "% .1f", decor.WC{W: 12})),
		)
		p.known[name] = bar
	}
	bar.SetTotal(size, false)
	bar.SetCurrent(done)
	if done == size {
		bar.SetTotal(size, true)
	}
}

// end ends the bars, and prints the results.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bars != nil {
		for _, bar := range p.known {
			bar.Abort(false) // ends the bar of a failed blob; a complete bar stays as it is
		}
		p.bars.Wait()
	}
	if p.below != nil {
		cmdline.Printf(p.below, "%s", strings.Join(p.last, ""))
	}
}
