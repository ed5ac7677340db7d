"""Readers of foreign formats: each file turns one into a `multipliers.Multiplier`, or into what one is made of.

| file                | reads                                                                               |
|---------------------|-------------------------------------------------------------------------------------|
| ``arrays``          | ``.npy`` and ``.npz``: `read_array`                                                 |
| ``tables``          | every table format, recognised by content: `read_table`; a file for each format     |
| ``mantissa``        | ApproxTrain's mantissa tables, for `multipliers.floating`: `read_mantissa`          |
| ``c_source``        | C and C++, compiled and run: `read_c_source`                                        |
| ``verilog``         | Verilog and SystemVerilog, through Yosys: `read_verilog`                            |
| ``blif``, ``aiger`` | netlists: `read_blif`, `read_aiger`                                                 |
| ``yosys_json``      | netlists of Yosys: `read_yosys_json`                                                |
| ``circuits``        | any of these circuits and C, with what the file does not say stated: `read_circuit` |
| ``liberty``         | libraries of standard cells, for the area of a circuit: `read_liberty`              |

Those of Verilog, BLIF, AIGER and Yosys return a `multipliers.netlist.Circuit`, which a
`multipliers.netlist.NetlistMultiplier` multiplies with, and which `multipliers.netlist.cost` counts.
`catalog.resolve` takes any of these files by name. Nothing is imported here: readers load when they are used.
"""
