internal import Glibc

/// What the 256 patterns of each 8-bit type mean.
///
/// Source: OCP 8-bit Floating Point Specification 1.0 (E5M2, E4M3), OCP Microscaling Formats 1.0 (E8M0);
/// the FNUZ pair: Noune et al., 8-bit Numerical Formats for Deep Neural Networks, arXiv 2206.02915.
enum SmallFloat {
    /// The values of a type's patterns in order.
    static func table(_ type: ElementType) -> [Float] {
        switch type {
        case .f8E5M2: e5m2
        case .f8E4M3: e4m3
        case .f8E5M2FNUZ: e5m2FNUZ
        case .f8E4M3FNUZ: e4m3FNUZ
        case .f8E8M0: e8m0
        default: preconditionFailure("\(type) has no 256 patterns")
        }
    }

    private static let e5m2 = (0..<256).map { pattern in
        pattern & 0x7f >= 0x7c
            ? (pattern & 3 != 0 ? Float.nan : pattern < 128 ? .infinity : -.infinity)
            : value(pattern, fraction: 2, bias: 15)
    }
    private static let e4m3 = (0..<256).map {
        $0 & 0x7f == 0x7f ? Float.nan : value($0, fraction: 3, bias: 7)
    }
    private static let e5m2FNUZ = (0..<256).map { $0 == 0x80 ? Float.nan : value($0, fraction: 2, bias: 16) }
    private static let e4m3FNUZ = (0..<256).map { $0 == 0x80 ? Float.nan : value($0, fraction: 3, bias: 8) }
    private static let e8m0 = (0..<256).map { $0 == 255 ? Float.nan : ldexpf(1, Int32($0) - 127) }

    /// (−1)^sign · 2^(exponent − bias) · 1.fraction, or 2^(1 − bias) · 0.fraction when the exponent is 0.
    private static func value(_ pattern: Int, fraction bits: Int, bias: Int) -> Float {
        let exponent = (pattern & 0x7f) >> bits
        let fraction = pattern & ((1 << bits) - 1)
        let significand = exponent == 0 ? fraction : fraction | 1 << bits
        let magnitude = ldexpf(Float(significand), Int32(max(exponent, 1) - bias - bits))
        return pattern & 0x80 == 0 ? magnitude : -magnitude
    }
}
