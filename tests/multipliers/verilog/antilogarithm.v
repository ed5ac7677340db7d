// (1 + fraction / 2^F) * 2^characteristic; what falls below the binary point is dropped.
module antilogarithm #(parameter N = 8, parameter F = 5, parameter K = 4) (
    input  [K-1:0]   characteristic,
    input  [F-1:0]   fraction,
    output [2*N-1:0] y
);
  wire [2*N+F-1:0] shifted;

  barrel_shifter #(.IN(F + 1), .OUT(2 * N + F), .K(K)) shifter (
      .x({1'b1, fraction}), .by(characteristic), .y(shifted)
  );
  assign y = shifted[2*N+F-1:F];
endmodule
