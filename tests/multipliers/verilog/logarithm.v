// Mitchell's logarithm of x > 0: characteristic, and the F bits after the leading one (the bits below are dropped).
module logarithm #(parameter N = 8, parameter F = 5, parameter K = $clog2(N)) (
    input  [N-1:0] x,
    output [K-1:0] characteristic,
    output [F-1:0] fraction
);
  localparam [K-1:0] TOP = N - 1;
  wire [K-1:0] left = TOP - characteristic;
  wire [N-1:0] aligned;  // the leading one is bit N-1
  wire [N+F-1:0] padded = {aligned, {F{1'b0}}};

  leading_one #(.N(N)) detector (.x(x), .position(characteristic));
  barrel_shifter #(.IN(N), .OUT(N), .K(K)) shifter (.x(x), .by(left), .y(aligned));
  assign fraction = padded[N+F-2-:F];
endmodule
