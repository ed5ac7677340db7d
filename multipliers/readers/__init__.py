"""Readers of foreign formats: each file turns one into a `multipliers.Multiplier`, or into what one is made of.

========================  ==============================================================================
``arrays``                ``.npy`` and ``.npz``: `read_array`
``tables``                every table format, recognised by content: `read_table`; a file for each format
``mantissa``              ApproxTrain's mantissa tables, for `multipliers.floating`: `read_mantissa`
``c_source``              C and C++, compiled and run: `read_c_source`
``verilog``               Verilog and SystemVerilog, through Yosys: `read_verilog`
``blif``, ``aiger``       netlists: `read_blif`, `read_aiger`
``yosys_json``            netlists of Yosys: `read_yosys_json`
========================  ==============================================================================

The last four return a `multipliers.netlist.Circuit`, which a `multipliers.netlist.NetlistMultiplier` multiplies with.
`catalog.resolve` takes any of these files by name. Nothing is imported here: readers load when they are used.
"""
