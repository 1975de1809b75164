// The simulation loop of sim.verilated: a C interface (for ctypes) over one Verilated model.
// Every function that can fail returns 0, or -1 with a text in nv_error(). A $stop, a failed
// assertion or a fatal message of the design is thrown as an exception and caught here.
#include "verilated_main.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "verilated_sym_props.h"
#include "verilated_syms.h"

#define NV_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

using nervure::Port;
constexpr size_t OUTPUT_LIMIT = 1 << 20;  // bytes of $display text kept, the latest ones

// A signal or memory inside the design. Mirrored by _Variable in verilated_abi.py.
struct Variable {
    const char* path;
    void* data;
    uint32_t bits;
    uint32_t bytes;     // of one element
    uint32_t elements;  // 0: a plain signal
    uint32_t low;       // lowest index of a memory
};

struct Sim {
    VerilatedContext context;
    std::unique_ptr<nervure::Model> model;
    std::unique_ptr<VerilatedVcdC> trace;
    uint8_t* clock = nullptr;
    uint64_t cycles = 0;
    bool failed = false;  // an exception left the model half evaluated: it runs no further
    std::string output, error;
    std::vector<std::string> paths;
    std::vector<Variable> variables;

    void dump() {
        if (trace) trace->dump(context.time());
    }
    bool tracing() const {
        return trace != nullptr;
    }
    void low() {  // second half of a cycle: inputs settle while the clock is low
        *clock = 0;
        model->eval();
        dump();
    }
    void high() {  // the rising edge
        context.timeInc(1);
        *clock = 1;
        model->eval();
        dump();
        context.timeInc(1);
        ++cycles;
    }
};

thread_local Sim* current = nullptr;

// Runs a body with this simulation current; an exception becomes -1 and its text.
template <typename Body>
int guarded(Sim* sim, Body body) {
    Sim* const before = current;
    current = sim;
    Verilated::threadContextp(&sim->context);
    int status = 0;
    try {
        status = body();
    } catch (const std::exception& problem) {
        sim->error = problem.what();
        status = -1;
    }
    current = before;
    return status;
}

// splitmix64: the stall patterns are a pure function of the seed and the draw's number.
struct Random {
    uint64_t state;
    uint64_t operator()() {
        uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
};

}  // namespace

// The hooks that Verilator offers in place of exit() and abort() (VL_USER_STOP and friends).
void vl_stop(const char* file, int line, const char*) {
    throw std::runtime_error(std::string{"stopped at "} + file + ":" + std::to_string(line));
}
void vl_finish(const char* file, int line, const char*) {
    throw std::runtime_error(std::string{"$finish at "} + file + ":" + std::to_string(line));
}
void vl_fatal(const char* file, int line, const char*, const char* message) {
    throw std::runtime_error(std::string{message} + " at " + file + ":" + std::to_string(line));
}
void vl_warn(const char* file, int line, const char*, const char* message) {
    if (std::strstr(message, "not found")) {
        throw std::runtime_error(std::string{message} + ": " + file);
    }
    nervure_printf("warning: %s:%d: %s\n", file, line, message);
}

// VL_PRINTF of the runtime: $display text is kept for the instance that printed it.
void nervure_printf(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char* text = nullptr;
    const int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0) return;
    if (current) {
        std::string& kept = current->output;
        if (kept.size() > OUTPUT_LIMIT) kept.erase(0, kept.size() - OUTPUT_LIMIT / 2);
        kept.append(text, size);
    }
    std::free(text);
}

namespace {

// As guarded(), for bodies that evaluate the model: after a failure they refuse to run.
template <typename Body>
int evaluated(Sim* sim, Body body) {
    if (sim->failed) {
        if (sim->error.rfind("stopped before: ", 0)) sim->error.insert(0, "stopped before: ");
        return -1;
    }
    const int status = guarded(sim, body);
    sim->failed = status < 0;
    return status;
}

// One run of a stream-shaped design. Mirrored by _Stream in verilated_abi.py.
struct Stream {
    // Ports by number, -1 where the design has none.
    int32_t in_payload, in_valid, in_ready, out_payload, out_valid, out_ready;
    uint32_t in_limbs, out_limbs;  // 64-bit words in a row of the arrays
    const uint64_t* words;
    uint64_t count;
    uint64_t in_stall, out_stall;  // probability times 2^64
    uint64_t seed;
    const uint64_t *mask, *value;  // stop after stop_count words with (word & mask) == value
    uint64_t stop_count;           // 0: stop when idle
    uint64_t idle_cycles, deadline, max_cycles;
    uint64_t consumed, produced, cycles;  // results
};

enum Outcome : int { RUNNING = 0, MATCHED = 1, IDLE = 2, QUIET = 3, TOO_LONG = 4 };

struct StreamRun {
    Stream s;
    Sim* sim;
    Random in_random, out_random;
    uint64_t matches = 0, last_in = 0, last_out = 0;
    bool offering = false;
    std::vector<uint64_t> out, in_cycle, out_cycle;

    StreamRun(Sim* sim_, const Stream& given)
        : s{given}
        , sim{sim_}
        , in_random{given.seed}
        , out_random{~given.seed * 0x2545f4914f6cdd1dULL} {}

    const Port* port(int32_t number) const {
        return number < 0 ? nullptr : &sim->model->ports[number];
    }
    static void set_bit(const Port* port, bool level) {
        if (port) *static_cast<uint8_t*>(port->data) = level;
    }
    static bool bit(const Port* port) {  // an absent valid or ready is always high
        return !port || (*static_cast<const uint8_t*>(port->data) & 1);
    }

    bool matches_stop(const uint64_t* word) const {
        for (uint32_t limb = 0; limb < s.out_limbs; ++limb) {
            if ((word[limb] & s.mask[limb]) != s.value[limb]) return false;
        }
        return true;
    }

    int run(uint64_t slice) {
        const Port *const in_payload = port(s.in_payload), *const in_valid = port(s.in_valid),
                          *const in_ready = port(s.in_ready), *const out_payload = port(s.out_payload),
                          *const out_valid = port(s.out_valid), *const out_ready = port(s.out_ready);
        const bool has_out = out_valid || out_payload;
        const size_t in_bytes = in_payload ? std::min<size_t>(in_payload->bytes, s.in_limbs * 8) : 0;
        const size_t out_bytes
            = out_payload ? std::min<size_t>(out_payload->bytes, s.out_limbs * 8) : 0;
        for (; slice; --slice) {
            if (!offering && s.consumed < s.count && !(s.in_stall && in_random() < s.in_stall)) {
                offering = true;
                if (in_payload) {
                    std::memcpy(in_payload->data, s.words + s.consumed * s.in_limbs, in_bytes);
                }
            }
            set_bit(in_valid, offering);
            const bool taking = has_out && !(s.out_stall && out_random() < s.out_stall);
            set_bit(out_ready, taking);
            sim->low();
            const bool fire_in = offering && bit(in_ready);
            const bool fire_out = taking && bit(out_valid);
            bool stop = false;
            if (fire_out) {
                const size_t start = out.size();
                out.resize(start + s.out_limbs);
                if (out_payload) std::memcpy(&out[start], out_payload->data, out_bytes);
                out_cycle.push_back(s.cycles);
                ++s.produced;
                last_out = s.cycles;
                if (s.stop_count && matches_stop(&out[start])) stop = ++matches >= s.stop_count;
            }
            sim->high();
            if (fire_in) {
                in_cycle.push_back(s.cycles);
                ++s.consumed;
                last_in = s.cycles;
                offering = false;
            }
            ++s.cycles;
            if (stop) return MATCHED;
            const uint64_t quiet = s.cycles - std::max(last_in, last_out);
            if (!s.stop_count && s.consumed == s.count && quiet > s.idle_cycles) return IDLE;
            if (s.deadline && quiet > s.deadline) return QUIET;
            if (s.cycles >= s.max_cycles) return TOO_LONG;
        }
        return RUNNING;
    }

    void rest() {  // leave both handshakes low
        set_bit(port(s.in_valid), false);
        set_bit(port(s.out_ready), false);
        *sim->clock = 0;
        sim->model->eval();  // not low(): this moment of the trace belongs to the next cycle
    }
};

}  // namespace

NV_EXPORT const char* nv_error(Sim* sim) { return sim->error.c_str(); }
NV_EXPORT uint64_t nv_cycles(Sim* sim) { return sim->cycles; }
NV_EXPORT const char* nv_output(Sim* sim) { return sim->output.c_str(); }
NV_EXPORT void nv_clear_output(Sim* sim) { sim->output.clear(); }

// Makes a model and settles it; $readmemh finds its files in data_folder. Check nv_error().
NV_EXPORT Sim* nv_open(const char* data_folder) {
    Sim* const sim = new Sim;
    evaluated(sim, [&] {
        const int here = data_folder ? open(".", O_RDONLY) : -1;
        if (data_folder && chdir(data_folder) != 0) {
            throw std::runtime_error(std::string{"cannot enter "} + data_folder);
        }
        struct Back {
            int folder;
            ~Back() {
                if (folder >= 0 && fchdir(folder) == 0) close(folder);
            }
        } back{here};
        sim->model = nervure::make_model(&sim->context);
        sim->model->eval();
        return 0;
    });
    return sim;
}

NV_EXPORT int nv_stop_trace(Sim* sim) {
    return guarded(sim, [&] {
        if (sim->trace) {
            sim->dump();
            sim->trace->close();
            sim->trace.reset();
        }
        return 0;
    });
}

NV_EXPORT void nv_close(Sim* sim) {
    nv_stop_trace(sim);
    guarded(sim, [&] {
        if (sim->model && !sim->failed) sim->model->final();
        return 0;
    });
    guarded(sim, [&] {
        sim->model.reset();
        return 0;
    });
    Verilated::threadContextp(nullptr);
    delete sim;
}

NV_EXPORT const Port* nv_ports(Sim* sim, uint32_t* count) {
    *count = sim->model->ports.size();
    return sim->model->ports.data();
}

NV_EXPORT void nv_set_clock(Sim* sim, int32_t port) {
    sim->clock = static_cast<uint8_t*>(sim->model->ports[port].data);
}

NV_EXPORT int nv_eval(Sim* sim) {
    return evaluated(sim, [&] {
        sim->model->eval();
        return 0;
    });
}

NV_EXPORT int nv_tick(Sim* sim, uint64_t count) {
    return evaluated(sim, [&] {
        for (; count; --count) {
            if (sim->tracing()) sim->low();  // else the rising edge's evaluation settles the inputs
            sim->high();
            if (!sim->tracing()) sim->low();
        }
        if (sim->tracing()) {
            *sim->clock = 0;
            sim->model->eval();
        }
        return 0;
    });
}

// nv_tick of one cycle, for callers that count nanoseconds.
NV_EXPORT int nv_step(Sim* sim) { return nv_tick(sim, 1); }

NV_EXPORT int nv_start_trace(Sim* sim, const char* path) {
    return guarded(sim, [&] {
        sim->context.traceEverOn(true);
        sim->trace = std::make_unique<VerilatedVcdC>();
        sim->model->trace(*sim->trace);
        sim->trace->open(path);
        if (!sim->trace->isOpen()) {
            sim->trace.reset();
            throw std::runtime_error(std::string{"cannot write "} + path);
        }
        return 0;
    });
}

NV_EXPORT const Variable* nv_variables(Sim* sim, uint32_t* count) {
    sim->paths.clear();
    sim->variables.clear();
    std::vector<std::pair<std::string, Variable>> found;
    for (const auto& named : *sim->context.scopeNameMap()) {
        const VerilatedScope* const scope = named.second;
        std::string prefix = scope->name();  // "TOP.<top module>..." but "TOP.TOP" for the ports
        if (prefix.rfind("TOP.", 0) == 0) prefix.erase(0, 4);
        if (prefix == "TOP" || !scope->varsp()) continue;
        for (const auto& entry : *scope->varsp()) {
            const VerilatedVar& var = entry.second;
            const auto type = var.vltype();
            if (var.isParam()
                || (type != VLVT_UINT8 && type != VLVT_UINT16 && type != VLVT_UINT32
                    && type != VLVT_UINT64 && type != VLVT_WDATA)) {
                continue;
            }
            Variable v{nullptr, var.datap(), var.entBits(), var.entSize(), 0, 0};
            if (var.udims() > 1) continue;
            if (var.udims() == 1) {
                v.elements = var.elements(1);
                v.low = var.low(1);
            }
            found.emplace_back(prefix + "." + entry.first, v);
        }
    }
    for (auto& [path, variable] : found) {
        sim->paths.push_back(std::move(path));
        sim->variables.push_back(variable);
    }
    for (size_t i = 0; i < sim->paths.size(); ++i) sim->variables[i].path = sim->paths[i].c_str();
    *count = sim->variables.size();
    return sim->variables.data();
}

NV_EXPORT StreamRun* nv_stream_open(Sim* sim, const Stream* stream) {
    return new StreamRun{sim, *stream};
}
// Up to `slice` cycles; returns an Outcome (or -1), and copies the counts back.
NV_EXPORT int nv_stream_run(StreamRun* run, Stream* stream, uint64_t slice) {
    const int outcome = evaluated(run->sim, [&] {
        const int reached = run->run(slice);
        if (reached != RUNNING) run->rest();
        return reached;
    });
    *stream = run->s;
    return outcome;
}
NV_EXPORT void nv_stream_copy(
    const StreamRun* run, uint64_t* out, uint64_t* out_cycle, uint64_t* in_cycle) {
    std::copy(run->out.begin(), run->out.end(), out);
    std::copy(run->out_cycle.begin(), run->out_cycle.end(), out_cycle);
    std::copy(run->in_cycle.begin(), run->in_cycle.end(), in_cycle);
}
NV_EXPORT void nv_stream_close(StreamRun* run) { delete run; }
