// Glue between one Verilated model and the generic loop. nervure_ports.h is generated from Vmodel.h:
// NERVURE_PORTS(X) with X(name, member, bits, is_input).
#include "Vmodel.h"
#include "nervure_ports.h"
#include "verilated_main.h"

namespace nervure {

struct Glue final : Model {
    Vmodel top;
    explicit Glue(VerilatedContext* context)
        : top{context} {
#define NERVURE_PORT(name, member, bits, is_input) \
    ports.push_back(Port{name, &top.member, bits, sizeof(top.member), is_input, 0});
        NERVURE_PORTS(NERVURE_PORT)
#undef NERVURE_PORT
    }
    void eval() override { top.eval(); }
    void final() override { top.final(); }
    void trace(VerilatedVcdC& file) override { top.trace(&file, 99); }
};

std::unique_ptr<Model> make_model(VerilatedContext* context) {
    return std::make_unique<Glue>(context);
}

}  // namespace nervure
