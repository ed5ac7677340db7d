// y = x << by, of OUT bits: one stage of multiplexers for each bit of by.
module barrel_shifter #(parameter IN = 8, parameter OUT = 8, parameter K = 3) (
    input  [ IN-1:0] x,
    input  [  K-1:0] by,
    output [OUT-1:0] y
);
  wire [OUT-1:0] stage[0:K];

  assign stage[0] = x;
  genvar i;
  generate
    for (i = 0; i < K; i = i + 1) begin : stages
      assign stage[i+1] = by[i] ? stage[i] << (1 << i) : stage[i];
    end
  endgenerate
  assign y = stage[K];
endmodule
