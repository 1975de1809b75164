"""Verilog of a component: the only place that calls Amaranth's back end."""

import re

from amaranth.back import verilog

__all__ = ["emit_verilog"]

_LINE = re.compile(r"^    (\\?[^ ]+ ?)\[(\d+)\] = (\d+)'([hd])([0-9a-fx]+);$")

#: Memories with more words than this are initialised from a file.
INLINE_WORDS = 256


def emit_verilog(component, name: str) -> dict[str, str]:
    """File name to text: `name`.v, and a `.mem` file for each large memory with contents.

    A large memory that starts with the same word everywhere is filled by a loop.
    The text is deterministic: same component, same bytes, wherever this package lies.
    """
    text = verilog.convert(component, name=name, strip_internal_attrs=True)
    files: dict[str, str] = {}
    lines: list[str] = []
    run: list[tuple[int, int, int]] = []
    target = ""

    def flush() -> None:
        nonlocal run
        if not run:
            return
        bits = run[0][1]
        if len(run) <= INLINE_WORDS:
            lines.extend(f"    {target}[{n}] = {bits}'h{v:x};" for n, _, v in run)
        elif len({value for _, _, value in run}) == 1:
            lines.append(f"    begin : fill_{len(lines)}")
            lines.append("      integer n;")
            lines.append(f"      for (n = 0; n < {len(run)}; n = n + 1)")
            lines.append(f"        {target.strip()} [n] = {bits}'h{run[0][2]:x};")
            lines.append("    end")
        else:
            digits = -(-bits // 4)
            file = f"{name}_{len(files)}.mem"
            files[file] = "".join(f"{v:0{digits}x}\n" for _, _, v in run)
            lines.append(f'    $readmemh("{file}", {target.strip()} );')
        run = []

    for line in text.splitlines():
        if line.lstrip().startswith('(* src = "'):  # a path of this machine
            continue
        match = _LINE.match(line)
        if match:
            memory, number, bits, base, value = match.groups()
            if memory != target or int(number) != len(run):
                flush()
                target = memory
            run.append(
                (int(number), int(bits), int(value.replace("x", "0"), 16 if base == "h" else 10))
            )
            continue
        flush()
        target = ""
        lines.append(line)
    return {f"{name}.v": "\n".join(lines) + "\n", **files}
