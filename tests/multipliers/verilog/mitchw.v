// Mitchell's logarithmic multiplier of the W leading bits of each operand.
// The core takes 0 for 1; the wrappers with and without signs know zero.
module mitchw_core #(parameter N = 8, parameter W = 6) (
    input  [N-1:0]   a, b,
    output [2*N-1:0] p
);
  localparam K = $clog2(N);
  localparam F = W > 1 ? W - 1 : 1;  // fraction bits; W = 1 has one that is always 0
  wire [K-1:0] ka, kb;
  wire [F-1:0] fa, fb;
  wire [K+F:0] log_a, log_b, sum;

  logarithm #(.N(N), .F(F)) log_of_a (.x(a), .characteristic(ka), .fraction(fa));
  logarithm #(.N(N), .F(F)) log_of_b (.x(b), .characteristic(kb), .fraction(fb));
  generate
    if (W > 1) begin : kept
      assign log_a = {1'b0, ka, fa};
      assign log_b = {1'b0, kb, fb};
    end else begin : characteristics
      assign log_a = {1'b0, ka, 1'b0};
      assign log_b = {1'b0, kb, 1'b0};
    end
  endgenerate
  assign sum = log_a + log_b;
  antilogarithm #(.N(N), .F(F), .K(K + 1)) product (.characteristic(sum[K+F:F]), .fraction(sum[F-1:0]), .y(p));
endmodule

module mitchw_unsigned #(parameter N = 8, parameter W = 6) (
    input  [N-1:0]   a, b,
    output [2*N-1:0] p
);
  wire [2*N-1:0] magnitude;

  mitchw_core #(.N(N), .W(W)) core (.a(a), .b(b), .p(magnitude));
  assign p = (a == 0 || b == 0) ? 0 : magnitude;
endmodule
