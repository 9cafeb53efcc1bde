/// The type of a tensor's elements, under the name that safetensors gives it.
public enum ElementType: String, Sendable, CaseIterable, Hashable {
    /// A truth value in a byte.
    case bool = "BOOL"
    /// Unsigned integers of 8, 16, 32 and 64 bits.
    case u8 = "U8", u16 = "U16", u32 = "U32", u64 = "U64"
    /// Signed integers of 8, 16, 32 and 64 bits.
    case i8 = "I8", i16 = "I16", i32 = "I32", i64 = "I64"
    /// IEEE 754 binary numbers, and bfloat16: float32's exponent with 7 bits of fraction.
    case f16 = "F16", bf16 = "BF16", f32 = "F32", f64 = "F64"
    /// A complex number of two float32.
    case c64 = "C64"
    /// Eight bits with a sign: 5 of exponent and 2 of fraction, or 4 and 3 (OCP 8-bit floating point, 2023).
    case f8E5M2 = "F8_E5M2", f8E4M3 = "F8_E4M3"
    /// The same with a single zero and a single NaN, at 0x80, and a bias greater by one.
    case f8E5M2FNUZ = "F8_E5M2FNUZ", f8E4M3FNUZ = "F8_E4M3FNUZ"
    /// A power of two, 2^(x − 127): the scale of a block (OCP microscaling formats, 2023).
    case f8E8M0 = "F8_E8M0"
    /// Four and six bits, packed.
    case f4 = "F4", f6E2M3 = "F6_E2M3", f6E3M2 = "F6_E3M2"

    /// How many bits an element takes.
    public var bits: Int {
        switch self {
        case .f4: 4
        case .f6E2M3, .f6E3M2: 6
        case .bool, .u8, .i8, .f8E5M2, .f8E4M3, .f8E5M2FNUZ, .f8E4M3FNUZ, .f8E8M0: 8
        case .u16, .i16, .f16, .bf16: 16
        case .u32, .i32, .f32: 32
        case .u64, .i64, .f64, .c64: 64
        }
    }

    /// How many bytes an element takes; nil where it is less than one.
    public var byteSize: Int? { bits % 8 == 0 ? bits / 8 : nil }

    /// Whether the elements are numbers with a fraction, of which float32 holds the value.
    public var isFloatingPoint: Bool {
        switch self {
        case .f16, .bf16, .f32, .f64, .f8E5M2, .f8E4M3, .f8E5M2FNUZ, .f8E4M3FNUZ, .f8E8M0: true
        default: false
        }
    }

    /// The bytes that so many elements take; nil when they overflow or do not end on a byte.
    public func byteCount(elements: Int) -> Int? {
        let (total, overflow) = elements.multipliedReportingOverflow(by: bits)
        return overflow || total % 8 != 0 ? nil : total / 8
    }

    /// The bytes of a tensor of this shape; nil when they overflow or do not end on a byte.
    public func byteCount(shape: [Int]) -> Int? {
        Self.elementCount(shape: shape).flatMap(byteCount(elements:))
    }

    /// How many elements a shape has, 1 for a scalar; nil when they overflow or a dimension is negative.
    public static func elementCount(shape: [Int]) -> Int? {
        var count = 1
        for dimension in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
            if overflow || dimension < 0 { return nil }
            count = product
        }
        return count
    }
}
