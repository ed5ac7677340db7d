`ifndef COMPLEMENT_VH
`define COMPLEMENT_VH
`define COMPLEMENT_IF(condition, x, width) ((x) ^ {(width){condition}})
`endif
