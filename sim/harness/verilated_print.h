// Where the text of $display and of Verilator's runtime goes (VL_PRINTF=nervure_printf).
#ifndef NERVURE_VERILATED_PRINT_H_
#define NERVURE_VERILATED_PRINT_H_
void nervure_printf(const char* format, ...) __attribute__((format(printf, 1, 2)));
#endif
