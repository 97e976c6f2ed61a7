package binary

// maxProducers is how many producers a component may have for people. Ten are many.
const maxProducers = 100

// Producer is a language, tool or SDK that a component was made with. Its texts are fit to be
// shown.
type Producer struct {
	Field   string // "language", "processed-by" or "sdk"
	Name    string
	Version string // or ""
}

// Producers reads what a component and all that is in it were made with, each producer once, the
// outermost first. It takes what can be read.
func Producers(c *Component) []Producer {
	p := &producers{seen: map[Producer]bool{}}
	p.component(c)
	return p.all
}

type producers struct {
	all  []Producer
	seen map[Producer]bool
}

func (p *producers) component(c *Component) {
	for _, custom := range c.Customs {
		p.custom(custom.Name, custom.Data)
	}
	for _, d := range c.Definitions {
		switch d := d.(type) {
		case *CoreModule:
			lenient(d.Bytes, p.module)
		case *Component:
			p.component(d)
		}
	}
}

// module looks for the custom section of a core module.
func (p *producers) module(r *reader) {
	r.head(headModule, "core module")
	for r.more() {
		id := r.byte()
		s := r.within(r.u32())
		if id == sectionCustom {
			name := s.name()
			p.custom(name, s.b[s.at:])
		}
	}
}

func (p *producers) custom(name string, data []byte) {
	if name == "producers" {
		lenient(data, p.read)
	}
}

func (p *producers) read(r *reader) {
	for range r.count("fields") {
		field := r.shown()
		for range r.count("values") {
			one := Producer{Field: field, Name: r.shown(), Version: r.shown()}
			if p.seen[one] {
				continue
			}
			if len(p.all) == maxProducers {
				return
			}
			p.seen[one] = true
			p.all = append(p.all, one)
		}
	}
}
