package types

// Func is the type of a function.
type Func struct {
	Async  bool
	Params []Param
	Result *Type // or nil

	// Args is the tuple of the parameters' types: how they lie in memory where they are too many to be
	// core values.
	Args *Type
}

// Param is a parameter.
type Param struct {
	Label string
	Type  *Type
}

// NewFunc returns f with what follows from its parameters.
func NewFunc(f Func) *Func {
	args := Type{Kind: Tuple}
	for _, p := range f.Params {
		args.Elems = append(args.Elems, p.Type)
	}
	f.Args = New(args)
	return &f
}

// How many core values pass parameters and results; where a function has more, they are in memory.
const (
	maxParams      = 16
	maxAsyncParams = 4
	maxResults     = 1
)

// Signature is the core type of a function, and how its values pass.
type Signature struct {
	Params, Results []Core
	// ArgsInMemory says that the parameters are in memory, and the only core value is their address.
	ArgsInMemory bool
	// ResultInMemory says that the result is in memory. In a lifted function the core result is its
	// address; in a lowered one the last core parameter is.
	ResultInMemory bool
}

// Lifted returns the core type of a core function that is lifted to f.
func (f *Func) Lifted(async, callback bool) Signature {
	s := Signature{Params: f.Args.Flat}
	if s.Params == nil || len(s.Params) > maxParams {
		s.Params, s.ArgsInMemory = []Core{I32}, true
	}
	switch {
	case async && callback:
		s.Results = []Core{I32}
	case async, f.Result == nil:
	case f.Result.Flat == nil || len(f.Result.Flat) > maxResults:
		s.Results, s.ResultInMemory = []Core{I32}, true
	default:
		s.Results = f.Result.Flat
	}
	return s
}

// Lowered returns the core type of the core function that f is lowered to.
func (f *Func) Lowered(async bool) Signature {
	s := Signature{Params: f.Args.Flat}
	bound := maxParams
	if async {
		bound = maxAsyncParams
	}
	if s.Params == nil || len(s.Params) > bound {
		s.Params, s.ArgsInMemory = []Core{I32}, true
	}
	switch {
	case f.Result == nil:
	case async || f.Result.Flat == nil || len(f.Result.Flat) > maxResults:
		s.ResultInMemory = true
		s.Params = append(s.Params[:len(s.Params):len(s.Params)], I32)
	default:
		s.Results = f.Result.Flat
	}
	if async {
		s.Results = []Core{I32}
	}
	return s
}

// Returned returns the core parameters of task.return for a result, and whether they are the
// address of the result in memory.
func Returned(result *Type) (params []Core, inMemory bool) {
	switch {
	case result == nil:
		return nil, false
	case result.Flat == nil || len(result.Flat) > maxParams:
		return []Core{I32}, true
	}
	return result.Flat, false
}
