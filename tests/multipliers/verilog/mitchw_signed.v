// Two's-complement operands through their ones' complement: no carry chain before and behind the core.
`include "complement.vh"

module mitchw_signed #(parameter N = 8, parameter W = 6) (
    input  signed [N-1:0]   multiplicand,
    input  signed [N-1:0]   multiplier,
    output signed [2*N-1:0] product
);
  wire [N-1:0] a = `COMPLEMENT_IF(multiplicand[N-1], multiplicand, N);
  wire [N-1:0] b = `COMPLEMENT_IF(multiplier[N-1], multiplier, N);
  wire         negative = multiplicand[N-1] ^ multiplier[N-1];
  wire [2*N-1:0] magnitude;

  mitchw_core #(.N(N), .W(W)) core (.a(a), .b(b), .p(magnitude));
  assign product = (multiplicand == 0 || multiplier == 0) ? 0 : `COMPLEMENT_IF(negative, magnitude, 2*N);
endmodule
