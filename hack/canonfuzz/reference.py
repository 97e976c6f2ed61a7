"""Lifts and lowers values as the specification's reference does: a case a line on standard input,
its outcome a line on standard output. The argument is the folder of definitions.py."""

import json
import sys

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import definitions as ref  # noqa: E402

# A float is the number of its bits: the reference may give a NaN other bits, and we keep them.
ref.decode_i32_as_float = ref.decode_i64_as_float = lambda i: i
ref.encode_float_as_i32 = ref.encode_float_as_i64 = lambda f: f
ref.canonicalize_nan32 = ref.canonicalize_nan64 = lambda f: f
ref.maybe_scramble_nan32 = ref.maybe_scramble_nan64 = lambda f: f

ENCODINGS = ["utf8", "utf16", "latin1+utf16"]
PRIMS = {
    "bool": ref.BoolType, "s8": ref.S8Type, "u8": ref.U8Type, "s16": ref.S16Type, "u16": ref.U16Type,
    "s32": ref.S32Type, "u32": ref.U32Type, "s64": ref.S64Type, "u64": ref.U64Type, "f32": ref.F32Type,
    "f64": ref.F64Type, "char": ref.CharType, "string": ref.StringType, "error-context": ref.ErrorContextType,
}


def make(t, resources):
    """The reference's type of a type in JSON."""
    if t is None:
        return None
    kind, n = t["kind"], t.get("n", 0)
    if kind in PRIMS:
        return PRIMS[kind]()
    elems = [make(e, resources) for e in t.get("elems") or []]
    match kind:
        case "list":
            return ref.ListType(elems[0])
        case "fixed":
            return ref.ListType(elems[0], n)
        case "map":
            return ref.MapType(*elems[0].ts)
        case "record":
            return ref.RecordType([ref.FieldType(f"l{i}", e) for i, e in enumerate(elems)])
        case "tuple":
            return ref.TupleType(elems)
        case "variant":
            return ref.VariantType([ref.CaseType(f"l{i}", e) for i, e in enumerate(elems)])
        case "enum":
            return ref.EnumType([f"l{i}" for i in range(n)])
        case "option":
            return ref.OptionType(elems[1])
        case "result":
            return ref.ResultType(*elems)
        case "flags":
            return ref.FlagsType([f"l{i}" for i in range(n)])
        case "own":
            return ref.OwnType(resources[n])
        case "borrow":
            return ref.BorrowType(resources[n])
        case "stream":
            return ref.StreamType(elems[0])
        case "future":
            return ref.FutureType(elems[0])


class Memory(ref.MemInst):
    pass


class Guest:
    """A memory, a table, and an allocator like that of canontest.Guest."""

    def __init__(self, g, resources):
        mem = bytearray(bytes.fromhex(g["mem"]))
        mem.extend(bytes(g["size"] - len(mem)))
        self.next = g["next"]
        self.calls = []
        self.lie, self.lie_at = g["lie"], g["lieAt"]
        self.inst = ref.ComponentInstance(None)
        for e in g["table"] or []:
            self.inst.handles.add(self.entry(e, resources))
        self.opts = ref.LiftLowerOptions(ENCODINGS[g["strings"]], Memory(mem, "i32"))

    def entry(self, e, resources):
        kind, rep = e["type"]["kind"], e["rep"]
        if kind in ("own", "borrow"):
            return ref.ResourceHandle(resources[e["type"].get("n", 0)], rep, own=kind == "own")
        if kind == "error-context":
            x = ref.ErrorContext(None)
            x.rep = rep
            return x
        elem = make(e["type"]["elems"][0], resources)
        if kind == "stream":
            shared, end = ref.SharedStreamImpl(elem), ref.ReadableStreamEnd
        else:
            shared, end = ref.SharedFutureImpl(elem), ref.ReadableFutureEnd
        shared.rep = rep
        return end(shared)

    def realloc(self, old, old_size, align, size):
        self.calls.append([old, old_size, align, size])
        mem = self.opts.memory.bytes
        at = (self.next + align - 1) // align * align
        if at + size > len(mem):
            raise ref.Trap()
        kept = min(old_size, size)
        if old + kept <= len(mem):
            mem[at : at + kept] = mem[old : old + kept]
        self.next = at + size
        if len(self.calls) < self.lie_at:
            return at
        match self.lie:
            case "unaligned":
                return at + 1
            case "outside":
                return len(mem) - size // 2 if size > 1 else 0xFFFFFFF0
            case "same":
                return 16
            case "inplace":
                return old if old and size <= old_size else at
            case "end":
                return (len(mem) - size) // align * align
            case "grow":
                mem.extend(bytes(4096))
        return at

    def table(self):
        out = []
        for e in self.inst.handles.array[1:]:
            match e:
                case None:
                    out.append(None)
                case ref.ResourceHandle():
                    out.append(["own" if e.own else "borrow", e.rep, e.num_lends])
                case ref.ErrorContext():
                    out.append(["error-context", e.rep, 0])
                case ref.ReadableStreamEnd():
                    out.append(["stream", e.shared.rep, 0])
                case ref.ReadableFutureEnd():
                    out.append(["future", e.shared.rep, 0])
        return out


class Context(ref.LiftLowerContext):
    def __init__(self, guest, scope):
        super().__init__(guest.opts, guest.inst, scope)
        self.guest = guest

    def reallocate(self, old, old_byte_length, alignment, new_byte_length):
        return self.guest.realloc(old, old_byte_length, alignment, new_byte_length)


def run(case):
    resources = [ref.ResourceType(None) for _ in range(case["resources"])]
    t = make(case["type"], resources)
    source = Guest(case["from"], resources)
    target = source if case["within"] else Guest(case["to"], resources)
    if case["impl"]:
        resources[0].impl = target.inst
    task = ref.Task.__new__(ref.Task)
    task.num_borrows = 0
    lift, lower = Context(source, ref.Subtask()), Context(target, task)
    trap, flat = "", []
    if case["buffer"]:
        trap = share(case, t, lift, lower)
        return answer(source, target, trap, flat)
    try:
        values = ref.CoreValueIter(case["from"]["flat"])
        [v] = ref.lift_flat_values(lift, 0 if case["from"]["inMemory"] else 16, values, [t])
        try:
            out = case["to"]["out"]
            out = None if out < 0 else ref.CoreValueIter([out])
            flat = ref.lower_flat_values(lower, 0 if case["to"]["inMemory"] else 16, [v], [t], out)
        except ref.Trap:
            trap = "lower"
    except ref.Trap:
        trap = "lift"
    return answer(source, target, trap, flat)


def share(case, t, lift, lower):
    """What a write to a stream and a read from it share."""
    b = case["buffer"]
    try:
        written = ref.ReadableBufferGuestImpl(t, lift, b["from"], b["n"])
        vs = written.read(b["n"])
    except ref.Trap:
        return "lift"
    try:
        ref.WritableBufferGuestImpl(t, lower, b["to"], b["n"]).write(vs)
    except ref.Trap:
        return "lower"
    return ""


def answer(source, target, trap, flat):
    return {
        "trap": trap, "flat": flat, "reallocs": target.calls,
        "mem": bytes(target.opts.memory.bytes).rstrip(b"\0").hex(), "size": len(target.opts.memory.bytes),
        "source": source.table(), "table": target.table(),
    }


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
