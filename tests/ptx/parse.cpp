/* parse.cpp: PTX text to kernels. The text is cut into statements at ';', labels at ':', and directives; a statement of
 * a kernel is decoded at once, its branches are resolved when the kernel ends. What is not known is an error that names
 * it. Names within { } of inline assembly are the kernel's. */
#include "program.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ptx {
namespace {

struct Label {
    size_t instruction;
    std::string name;
};

struct Reader {
    const char *at;
    int line = 1;
};

struct State {
    Program program;
    std::map<std::string, uint64_t> symbols; /* of the module: addresses; of shared memory, offsets in each kernel's */
    std::set<std::string> dynamic;           /* shared memory behind a kernel's own */
    uint32_t shared_bytes = 0;               /* of the module's */
    Kernel *kernel = nullptr;
    std::map<std::string, Operand> registers;
    std::map<std::string, uint64_t> local_symbols; /* offsets */
    std::map<std::string, Operand> parameters, constants;
    std::map<std::string, size_t> labels;
    std::vector<Label> branches;
    int line = 0, source_line = 0;
};

std::vector<std::string> split(const std::string &text, char at) {
    std::vector<std::string> parts;
    size_t begin = 0, end;
    while ((end = text.find(at, begin)) != std::string::npos) {
        parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    parts.push_back(text.substr(begin));
    return parts;
}

std::string trim(const std::string &text) {
    size_t begin = text.find_first_not_of(" \t\n\r"), end = text.find_last_not_of(" \t\n\r");
    return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

[[noreturn]] void refuse(const State &s, const std::string &what) {
    fault("line %d of the PTX: %s", s.line, what.c_str());
}

/* ---- registers ---- */

uint8_t width_of(const State &s, const std::string &type) {
    if (type == "pred")
        return 1;
    int bits = atoi(type.c_str() + 1);
    if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
        refuse(s, "registers of type ." + type + " are not known");
    return (uint8_t)std::max(bits / 8, 2);
}

Operand new_register(Kernel &k, uint8_t width) {
    Operand o;
    o.at = k.file_bytes;
    o.number = (uint16_t)k.register_count++;
    o.width = width;
    k.file_bytes += (uint32_t)width * LANES;
    k.file_bytes = (k.file_bytes + 31) / 32 * 32;
    return o;
}

/* .reg .b32 %r<12>, %x */
void declare_registers(State &s, const std::string &text) {
    size_t space = text.find_first_of(" \t", 1);
    uint8_t width = width_of(s, trim(text.substr(1, space - 1)));
    for (const std::string &each : split(text.substr(space), ',')) {
        std::string name = trim(each);
        size_t open = name.find('<');
        int count = open == std::string::npos ? -1 : atoi(name.c_str() + open + 1);
        for (int n = 0; n < count; n++)
            s.registers[name.substr(0, open) + std::to_string(n)] = new_register(*s.kernel, width);
        if (count < 0)
            s.registers[name] = new_register(*s.kernel, width);
    }
}

Operand constant(State &s, uint64_t bits, uint8_t width) {
    if (width < 8)
        bits &= (1ull << 8 * width) - 1;
    std::string key = std::to_string(width) + "/" + std::to_string(bits);
    auto found = s.constants.find(key);
    if (found != s.constants.end())
        return found->second;
    Operand o = new_register(*s.kernel, width);
    s.kernel->constants.push_back({o, bits});
    return s.constants[key] = o;
}

/* ---- memory ---- */

/* .align 16 .b8 name[10752]; the size in bytes. */
uint64_t declared_bytes(const std::string &text, std::string *name, uint64_t *align) {
    std::vector<std::string> words = split(text, ' ');
    uint64_t size = 1;
    *align = 1;
    for (size_t n = 0; n < words.size(); n++) {
        if (words[n] == ".align")
            *align = (uint64_t)atoi(words[++n].c_str());
        else if (words[n][0] == '.')
            size = (uint64_t)atoi(words[n].c_str() + 2) / 8;
        else
            *name = words[n];
    }
    size_t open = name->find('[');
    if (open == std::string::npos)
        return size;
    uint64_t count = strtoull(name->c_str() + open + 1, nullptr, 10);
    name->resize(open);
    return size * count;
}

std::string one_space(const std::string &text) {
    std::string out;
    for (char c : trim(text))
        if (!isspace((unsigned char)c) || (!out.empty() && out.back() != ' '))
            out += isspace((unsigned char)c) ? ' ' : c;
    return out;
}

void declare_memory(State &s, const std::string &text, uint32_t *used) {
    std::string name;
    uint64_t align, bytes = declared_bytes(one_space(text), &name, &align);
    *used = (uint32_t)((*used + align - 1) / align * align);
    s.local_symbols[name] = *used;
    *used += (uint32_t)bytes;
}

/* Shared memory of the module. Without a size it is as much as a launch gives, behind the rest. */
void declare_shared(State &s, const std::string &text) {
    std::string name;
    uint64_t align, bytes = declared_bytes(one_space(text), &name, &align);
    if (!bytes) {
        s.dynamic.insert(name);
        return;
    }
    s.shared_bytes = (uint32_t)((s.shared_bytes + align - 1) / align * align);
    s.symbols[name] = s.shared_bytes;
    s.shared_bytes += (uint32_t)bytes;
}

/* Memory of the module, with its first values. */
void declare_global(State &s, const std::string &text) {
    std::string name;
    size_t equal = text.find('=');
    uint64_t align, bytes = declared_bytes(one_space(text.substr(0, equal)), &name, &align);
    std::vector<uint8_t> &memory = s.program.globals[name];
    memory.resize(bytes + 16);
    s.symbols[name] = (uint64_t)memory.data();
    if (equal == std::string::npos)
        return;
    std::string values = text.substr(equal + 1);
    size_t count = (size_t)std::count(values.begin(), values.end(), ',') + 1, each = std::max<size_t>(bytes / count, 1);
    size_t at = 0;
    for (const std::string &value : split(values, ',')) {
        size_t digit = value.find_first_of("-0123456789");
        if (digit == std::string::npos)
            continue;
        const char *number = value.c_str() + digit;
        bool real = number[0] == '0' && strchr("fFdD", number[1]) && number[1];
        uint64_t bits = real ? strtoull(number + 2, nullptr, 16) : strtoull(number, nullptr, 0);
        if (at + each <= bytes)
            memcpy(&memory[at], &bits, std::min<size_t>(each, 8));
        at += each;
    }
}

/* ---- operands ---- */

struct Value {
    bool literal = false;
    uint64_t bits = 0;
    Operand place;
};

bool is_number(const std::string &text) {
    return isdigit((unsigned char)text[0]) || (text[0] == '-' && text.size() > 1);
}

uint64_t number(const std::string &text) {
    if (text[0] == '0' && text.size() > 1 && strchr("fFdD", text[1]))
        return strtoull(text.c_str() + 2, nullptr, 16);
    return text[0] == '-' ? (uint64_t)-strtoll(text.c_str() + 1, nullptr, 0) : strtoull(text.c_str(), nullptr, 0);
}

Operand special(State &s, const std::string &name) {
    static const char *const known[] = {"%tid.", "%ntid.", "%ctaid.", "%nctaid.", "%laneid", "%warpid", "%lanemask_lt"};
    for (const char *each : known) {
        if (name.rfind(each, 0) != 0)
            continue;
        auto found = s.kernel->special.find(name);
        return found != s.kernel->special.end() ? found->second : s.kernel->special[name] = new_register(*s.kernel, 4);
    }
    refuse(s, name + " is not known");
}

Value operand(State &s, std::string text) {
    Value v;
    bool negated = text[0] == '!';
    text = trim(negated ? text.substr(1) : text);
    auto found = s.registers.find(text);
    if (found != s.registers.end()) {
        v.place = found->second;
        v.place.negated = negated;
    } else if (text[0] == '%') {
        v.place = special(s, text);
    } else if (is_number(text)) {
        v.literal = true;
        v.bits = number(text);
    } else {
        size_t plus = text.find('+');
        std::string name = trim(text.substr(0, plus));
        if (s.dynamic.count(name)) {
            s.kernel->shared_bytes = (s.kernel->shared_bytes + 15) / 16 * 16;
            s.local_symbols[name] = s.kernel->shared_bytes;
        }
        auto own = s.local_symbols.find(name), shared = s.symbols.find(name);
        if (own == s.local_symbols.end() && shared == s.symbols.end())
            refuse(s, text + " is not known");
        v.literal = true;
        v.bits = (own != s.local_symbols.end() ? own->second : shared->second) +
                 (plus == std::string::npos ? 0 : number(trim(text.substr(plus + 1))));
    }
    return v;
}

/* [%rd1+4], [name], [name+4]: the base; the rest goes to the instruction. */
Value address(State &s, const std::string &text, Instruction *i) {
    std::string inner = trim(text.substr(1, text.size() - 2));
    size_t plus = inner.find('+');
    std::string base = trim(inner.substr(0, plus));
    int64_t offset = plus == std::string::npos ? 0 : (int64_t)number(trim(inner.substr(plus + 1)));
    auto parameter = s.parameters.find(base);
    Value v;
    if (parameter != s.parameters.end()) {
        v.place = parameter->second;
        i->space = PARAM;
        return v;
    }
    v = operand(s, base);
    i->offset = offset;
    if (v.literal)
        v.place.width = 8;
    return v;
}

/* At commas outside of braces and brackets; d|p are two. */
std::vector<std::string> arguments(const std::string &text) {
    std::vector<std::string> list;
    std::string word;
    int depth = 0;
    for (char c : text + ",") {
        depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
        if ((c == ',' && !depth) || c == '|') {
            if (!trim(word).empty())
                list.push_back(trim(word));
            word.clear();
        } else {
            word += c;
        }
    }
    return list;
}

/* ---- instructions ---- */

bool any_of(const std::string &name, std::initializer_list<const char *> list) {
    return std::find(list.begin(), list.end(), name) != list.end();
}

/* Without what changes nothing here: the rounding to nearest, hints for caches. */
std::string plain_name(const std::vector<std::string> &parts) {
    std::string name = parts[0];
    bool approximate = std::find(parts.begin(), parts.end(), "approx") != parts.end();
    for (size_t n = 1; n < parts.size(); n++)
        if (parts[n] != "rn" && parts[n] != "uni" && (parts[n] != "ftz" || approximate))
            name += "." + parts[n];
    return name;
}

Class class_of(const std::vector<std::string> &parts) {
    const std::string &n = parts[0], &type = parts.back();
    if (any_of(n, {"sqrt", "rcp", "rsqrt", "ex2", "lg2", "sin", "cos", "tanh", "div", "rem"}))
        return SPECIAL;
    if (n == "cvta")
        return NOTHING;
    if (n == "mov" || n == "selp")
        return MOVE;
    if (n == "cvt")
        return CONVERT;
    return type == "f32" ? FLOAT : type == "f64" ? DOUBLE : INTEGER;
}

/* Divisions are made of many instructions, roots and exponentials of a few. */
uint8_t weight_of(const std::vector<std::string> &parts, Class type) {
    if (type == NOTHING)
        return 0;
    if (parts[0] == "div" || parts[0] == "rem")
        return parts.back()[0] == 'f' ? 10 : 20;
    return type == SPECIAL ? 3 : 1;
}

void move_window(Warp &w, const Instruction &i, Mask mask) {
    for (int l = 0; l < LANES; l++)
        if (mask >> l & 1)
            w.put(i.operand[0], l,
                  i.extra ? w.get(i.operand[1], l) & ~WINDOWS : w.get(i.operand[1], l) + (uint64_t)i.offset);
    w.define(i.operand[0], mask, w.defined[i.operand[1].number]);
}

/* cvta.to.global and the like, cvta.shared: between addresses of a space and generic ones. */
bool decode_address(const std::vector<std::string> &parts, Instruction *i) {
    if (parts[0] != "cvta")
        return false;
    i->operand[1].width = i->operand[1].width ? i->operand[1].width : 8;
    i->extra = parts[1] == "to";
    i->offset = parts[1] == "shared" ? (int64_t)SHARED_WINDOW : parts[1] == "local" ? (int64_t)LOCAL_WINDOW : 0;
    i->run = move_window;
    return true;
}

/* What takes no lanes' values, or another's place. */
bool decode_control(State &s, const std::string &name, const std::string &rest, Instruction *i) {
    i->type = CONTROL;
    if (name == "bra") {
        i->kind = BRANCH;
        s.branches.push_back({s.kernel->code.size(), rest});
    } else if (name == "ret" || name == "exit") {
        i->kind = RETURN;
    } else if ((name == "bar.sync" || name == "barrier.sync" || name == "barrier.sync.aligned") && rest == "0") {
        i->kind = BARRIER;
        i->type = SYNC;
    } else {
        return false;
    }
    return true;
}

void no_operation(Warp &, const Instruction &, Mask) {
}

void decode(State &s, const std::vector<std::string> &parts, Instruction *i) {
    std::string name = plain_name(parts);
    i->type = class_of(parts);
    if (i->space == PARAM) {
        name = "mov.b" + std::to_string(8 * i->operand[0].width);
        i->type = NOTHING;
    }
    if (parts[0] == "griddepcontrol" || parts[0] == "nanosleep" || parts[0] == "prefetch") {
        i->run = no_operation;
        return;
    }
    if (decode_address(parts, i) || (i->run = find_arithmetic(name, i)))
        return;
    if ((parts[0] == "mov") && parts.back()[0] == 'b' && i->extra)
        i->run = find_arithmetic(i->extra == 1 ? "unpack" : "pack", i);
    if (i->run || decode_memory(parts, i) || decode_collective(name, parts, i))
        return;
    refuse(s, std::string("the instruction ") + i->name + " with these operands is not known");
}

/* Literals become registers when their widths are known. */
void add_operands(State &s, const std::string &text, std::vector<Value> *values, Instruction *i) {
    std::vector<std::string> list = arguments(text);
    for (size_t n = 0; n < list.size(); n++) {
        if (list[n][0] == '[') {
            values->push_back(address(s, list[n], i));
        } else if (list[n][0] == '{') {
            i->extra = n ? 2 : 1;
            for (const std::string &each : arguments(list[n].substr(1, list[n].size() - 2)))
                values->push_back(operand(s, each));
        } else {
            values->push_back(operand(s, list[n]));
        }
    }
    for (const Value &v : *values)
        if (v.place.negated && strncmp(i->name, "vote", 4))
            refuse(s, std::string(i->name) + " with a negated predicate is not known");
    if (values->size() > MOST_OPERANDS)
        refuse(s, "too many operands");
    i->count = (uint8_t)values->size();
    for (size_t n = 0; n < values->size(); n++)
        i->operand[n] = (*values)[n].place;
}

void set_guard(State &s, std::string *text, Instruction *i) {
    if ((*text)[0] != '@')
        return;
    size_t end = text->find_first_of(" \t");
    i->conditional = true;
    i->guard = operand(s, text->substr(1, end - 1)).place;
    *text = trim(text->substr(end));
}

bool talks(const Instruction &i) {
    return i.type == ATOMIC || i.strength != WEAK;
}

void add_instruction(State &s, std::string text) {
    Instruction i;
    std::vector<Value> values;
    i.line = s.line;
    i.source_line = s.source_line;
    set_guard(s, &text, &i);
    size_t end = text.find_first_of(" \t\n");
    std::string name = text.substr(0, end), rest = end == std::string::npos ? "" : trim(text.substr(end));
    std::vector<std::string> parts = split(name, '.');
    i.name = s.program.names.insert(name).first->c_str();
    if (!decode_control(s, plain_name(parts), rest, &i)) {
        add_operands(s, rest, &values, &i);
        decode(s, parts, &i);
        i.weight = weight_of(parts, i.type);
        for (size_t n = 0; n < values.size(); n++)
            if (values[n].literal)
                i.operand[n] = constant(s, values[n].bits, i.operand[n].width);
    }
    s.kernel->communicates = s.kernel->communicates || talks(i);
    s.kernel->code.push_back(i);
}

/* ---- kernels ---- */

void begin_kernel(State &s, const std::string &head) {
    size_t entry = head.find(".entry"), open = head.find('(', entry);
    std::string name = trim(head.substr(entry + 6, open - entry - 6));
    s.kernel = &s.program.kernels[name];
    s.kernel->name = name;
    s.kernel->shared_bytes = s.shared_bytes;
    for (const auto &global : s.program.globals)
        s.kernel->globals.push_back(
            {(uint64_t)global.second.data(), (uint64_t)global.second.data() + global.second.size()});
    s.registers.clear(), s.local_symbols.clear(), s.parameters.clear(), s.constants.clear(), s.labels.clear();
    s.branches.clear();
    size_t close = head.rfind(')');
    for (std::string each : split(head.substr(open + 1, close - open - 1), ',')) {
        each = trim(each);
        if (each.empty())
            continue;
        Operand o = new_register(*s.kernel, 8);
        s.parameters[each.substr(each.find_last_of(" \t") + 1)] = o;
        s.kernel->parameters.push_back(o);
    }
}

void end_kernel(State &s) {
    for (const Label &branch : s.branches) {
        auto found = s.labels.find(branch.name);
        if (found == s.labels.end())
            refuse(s, "no label " + branch.name);
        s.kernel->code[branch.instruction].target = (int)found->second;
    }
    Instruction last;
    last.kind = RETURN;
    last.name = "}";
    last.type = NOTHING;
    s.kernel->code.push_back(last);
    s.kernel = nullptr;
}

void directive(State &s, const std::string &text) {
    size_t end = text.find_first_of(" \t");
    std::string name = text.substr(0, end), rest = end == std::string::npos ? "" : trim(text.substr(end));
    if (name == ".reg")
        declare_registers(s, rest);
    else if (name == ".shared" && s.kernel)
        declare_memory(s, rest, &s.kernel->shared_bytes);
    else if (name == ".local" && s.kernel)
        declare_memory(s, rest, &s.kernel->local_bytes);
    else if (name == ".visible" || name == ".extern" || name == ".weak")
        directive(s, rest);
    else if (name == ".global" || name == ".const")
        declare_global(s, rest);
    else if (name == ".shared")
        declare_shared(s, rest);
    else if (!any_of(name, {".pragma", ".version", ".target", ".address_size", ".file"}))
        refuse(s, "the directive " + name + " is not known");
}

/* ---- text ---- */

void skip_comment(Reader &r) {
    if (r.at[1] == '/') {
        r.at += strcspn(r.at, "\n");
        return;
    }
    const char *end = strstr(r.at, "*/");
    end = end ? end + 2 : r.at + strlen(r.at);
    r.line += (int)std::count(r.at, end, '\n');
    r.at = end;
}

std::string rest_of_line(Reader &r) {
    size_t length = strcspn(r.at, "\n");
    std::string text(r.at, length);
    r.at += length;
    return text;
}

bool is_line_directive(const Reader &r) {
    for (const char *name : {".loc", ".version", ".target", ".address_size", ".file"})
        if (!strncmp(r.at, name, strlen(name)) && isspace((unsigned char)r.at[strlen(name)]))
            return true;
    return false;
}

/* The line of the source that the instructions which follow were made of: a kernel's own, of inlined functions too. */
void set_source_line(State &s, const std::string &text) {
    size_t inlined = text.find("inlined_at");
    int file, line;
    if (sscanf(text.c_str() + (inlined == std::string::npos ? 4 : inlined + 10), "%d %d", &file, &line) == 2)
        s.source_line = line;
}

/* A word that ends at one of these, outside of comments. */
char read_until(Reader &r, const char *ends, std::string *text) {
    int braces = 0;
    for (; *r.at; r.at++) {
        if (r.at[0] == '/' && (r.at[1] == '/' || r.at[1] == '*')) {
            skip_comment(r);
            if (!*r.at)
                break;
        }
        if (strchr(ends, *r.at) && !braces && !(*r.at == ':' && r.at[1] == ':') && !(*r.at == ':' && r.at[-1] == ':'))
            return *r.at++;
        braces += *r.at == '{' ? 1 : *r.at == '}' ? -1 : 0;
        r.line += *r.at == '\n';
        *text += *r.at;
    }
    return 0;
}

/* A statement of a kernel, a label, or a brace. */
void read_in_kernel(State &s, Reader &r, int *depth) {
    std::string text;
    s.line = r.line;
    if (*r.at == '{' || *r.at == '}') {
        *depth += *r.at++ == '{' ? 1 : -1;
        if (!*depth)
            end_kernel(s);
        return;
    }
    char end = read_until(r, ";:", &text);
    text = trim(text);
    if (end == ':')
        s.labels[text] = s.kernel->code.size();
    else if (text[0] == '.')
        directive(s, text);
    else if (!text.empty())
        add_instruction(s, text);
}

void skip_section(Reader &r) {
    while (*r.at && *r.at != '}')
        r.line += *r.at++ == '\n';
    r.at += *r.at == '}';
}

void read_outside(State &s, Reader &r, int *depth) {
    std::string text;
    s.line = r.line;
    if (!strncmp(r.at, ".section", 8)) {
        skip_section(r);
        return;
    }
    size_t length = strcspn(r.at, ";{=");
    if (std::string(r.at, length).find(".entry") != std::string::npos) {
        read_until(r, "{", &text);
        begin_kernel(s, text);
        *depth = 1;
        return;
    }
    if (std::string(r.at, length).find(".func") != std::string::npos)
        refuse(s, "functions are not known");
    read_until(r, ";", &text);
    directive(s, trim(text));
}

} // namespace

Program parse(const char *text) {
    State s;
    Reader r{text};
    int depth = 0;
    for (; *r.at;) {
        if (isspace((unsigned char)*r.at))
            r.line += *r.at++ == '\n';
        else if (r.at[0] == '/' && (r.at[1] == '/' || r.at[1] == '*'))
            skip_comment(r);
        else if (is_line_directive(r))
            set_source_line(s, rest_of_line(r));
        else if (depth)
            read_in_kernel(s, r, &depth);
        else
            read_outside(s, r, &depth);
    }
    return std::move(s.program);
}

} // namespace ptx
