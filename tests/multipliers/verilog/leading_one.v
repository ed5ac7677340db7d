// Position of the leading one of x; 0 where x is 0.
module leading_one #(parameter N = 8, parameter K = $clog2(N)) (
    input  [N-1:0] x,
    output [K-1:0] position
);
  wire [N-1:0] above;  // above[i]: a bit left of bit i is one
  wire [N-1:0] leading = x & ~above;

  assign above[N-1] = 1'b0;
  genvar i, j;
  generate
    for (i = 0; i < N - 1; i = i + 1) begin : prefix
      assign above[i] = above[i+1] | x[i+1];
    end
    for (j = 0; j < K; j = j + 1) begin : encoder
      wire [N-1:0] chosen;
      for (i = 0; i < N; i = i + 1) begin : bits
        assign chosen[i] = leading[i] & ((i >> j) & 1);
      end
      assign position[j] = |chosen;
    end
  endgenerate
endmodule
