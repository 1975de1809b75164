// What a Verilated model shows to the simulation loop; shared by verilated_main.cpp (compiled once
// into the cached runtime) and verilated_model.cpp (compiled for each model).
#ifndef NERVURE_VERILATED_MAIN_H_
#define NERVURE_VERILATED_MAIN_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "verilated_print.h"

#include "verilated.h"
#include "verilated_vcd_c.h"

namespace nervure {

// A port of the model. Mirrored by _Port in verilated_abi.py.
struct Port {
    const char* name;
    void* data;      // CData, SData, IData, QData or 32-bit words, all little-endian
    uint32_t bits;
    uint32_t bytes;  // size of the C++ variable
    uint32_t is_input;
    uint32_t reserved;
};

struct Model {
    std::vector<Port> ports;
    virtual ~Model() = default;
    virtual void eval() = 0;
    virtual void final() = 0;
    virtual void trace(VerilatedVcdC& file) = 0;
};

// Defined by verilated_model.cpp.
std::unique_ptr<Model> make_model(VerilatedContext* context);

}  // namespace nervure

#endif
