import Testing

@testable import Formats

/// The bytes of numbers, converted.
private func convert<From: BitwiseCopyable, To: BitwiseCopyable>(
    _ numbers: [From], _ from: ElementType, _ to: ElementType, as result: To.Type
) -> (numbers: [To], overflows: Int) {
    let width = MemoryLayout<To>.size
    var bytes = [UInt8](repeating: 0, count: numbers.count * width)
    var span = bytes.mutableSpan
    var target = unsafe span.mutableBytes
    let overflows = unsafe FloatConversion.convert(numbers.span.bytes, from, to: &target, to)
    let converted = unsafe bytes.withUnsafeBytes { buffer in
        (0..<numbers.count).map {
            unsafe buffer.loadUnaligned(fromByteOffset: $0 * width, as: To.self)
        }
    }
    return (converted, overflows)
}

private let all16 = (0...UInt16.max).map { $0 }

@Suite struct FloatConversionTests {
    @Test func everyFloat16Widens() {
        let floats = convert(all16, .f16, .f32, as: Float.self).numbers
        for pattern in all16 {
            let expected = Float(Float16(bitPattern: pattern))
            let found = floats[Int(pattern)]
            #expect(found == expected && found.sign == expected.sign || found.isNaN && expected.isNaN)
        }
    }

    @Test func everyBFloat16Widens() {
        let floats = convert(all16, .bf16, .f32, as: Float.self).numbers
        for pattern in all16 { #expect(floats[Int(pattern)].bitPattern == UInt32(pattern) << 16) }
    }

    @Test(arguments: [ElementType.f16, .bf16]) func every16BitNumberComesBack(type: ElementType) {
        let floats = convert(all16, type, .f32, as: Float.self).numbers
        let (back, overflows) = convert(floats, .f32, type, as: UInt16.self)
        #expect(overflows == 0)
        for pattern in all16 where !floats[Int(pattern)].isNaN { #expect(back[Int(pattern)] == pattern) }
        for pattern in all16 where floats[Int(pattern)].isNaN {
            #expect(convert([back[Int(pattern)]], type, .f32, as: Float.self).numbers[0].isNaN)
        }
    }

    /// Between each two neighbours the middle goes to the even one, and what is next to it to the nearer one.
    @Test(arguments: [ElementType.f16, .bf16]) func middlesRoundToEven(type: ElementType) {
        let finite: UInt16 = type == .f16 ? 0x7bff : 0x7f7f
        let lower = (0..<finite).map { $0 }
        let floats = convert(Array(0...finite), type, .f32, as: Float.self).numbers
        let middles = lower.map { (Double(floats[Int($0)]) + Double(floats[Int($0) + 1])) / 2 }
        let narrow = convert(middles, .f64, type, as: UInt16.self)
        let above = convert(middles.map(\.nextUp), .f64, type, as: UInt16.self).numbers
        let below = convert(middles.map { -$0.nextDown }, .f64, type, as: UInt16.self).numbers
        let single = convert(middles.map { Float($0) }, .f32, type, as: UInt16.self).numbers
        #expect(narrow.overflows == 0)
        for pattern in lower {
            let even = pattern + pattern % 2
            #expect(narrow.numbers[Int(pattern)] == even)
            #expect(above[Int(pattern)] == pattern + 1)
            #expect(below[Int(pattern)] == pattern | 0x8000)
            if Double(Float(middles[Int(pattern)])) == middles[Int(pattern)] {
                #expect(single[Int(pattern)] == even)
            }
        }
    }

    @Test func roundingAgreesWithSwiftOnManyNumbers() {
        var generator = SystemRandomNumberGenerator()
        let floats = (0..<200_000).map { _ in
            Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &generator))
        }
        let halves = convert(floats, .f32, .f16, as: UInt16.self)
        for (float, half) in zip(floats, halves.numbers) where !float.isNaN {
            #expect(half == Float16(float).bitPattern, "\(float)")
        }
        #expect(halves.overflows == floats.count { $0.isFinite && Float16($0).isInfinite })
    }

    @Test func overflowIsCounted() {
        let numbers: [Float] = [65504, 65519.996, 65520, -70000, .infinity, -.infinity, .nan, 0]
        let half = convert(numbers, .f32, .f16, as: UInt16.self)
        #expect(half.overflows == 2)
        #expect(half.numbers.prefix(6) == [0x7bff, 0x7bff, 0x7c00, 0xfc00, 0x7c00, 0xfc00])
        let large: [Float] = [
            .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 0x1.fep127, 0x1.fefffep127, .infinity,
        ]
        let brain = convert(large, .f32, .bf16, as: UInt16.self)
        #expect(brain.overflows == 2)
        #expect(brain.numbers == [0x7f80, 0xff80, 0x7f7f, 0x7f7f, 0x7f80])
        #expect(convert([1e39, -1e300, 1.0, .infinity], .f64, .f32, as: Float.self).overflows == 2)
        #expect(convert([1e39, -1e300, 1.0, .infinity], .f64, .bf16, as: UInt16.self).overflows == 2)
    }

    /// Values of the OCP specification, and of the paper for the FNUZ pair.
    private static let eightBitValues: [(ElementType, [Int: Float])] = [
        (.f8E4M3, [0x00: 0, 0x01: 0x1p-9, 0x08: 0x1p-6, 0x38: 1, 0x7e: 448, 0xfe: -448]),
        (.f8E5M2, [0x01: 0x1p-16, 0x04: 0x1p-14, 0x3c: 1, 0x7b: 57344, 0x7c: .infinity]),
        (.f8E4M3FNUZ, [0x01: 0x1p-10, 0x40: 1, 0x7f: 240, 0xff: -240]),
        (.f8E5M2FNUZ, [0x01: 0x1p-17, 0x40: 1, 0x7f: 57344, 0xff: -57344]),
        (.f8E8M0, [0: 0x1p-127, 127: 1, 254: 0x1p127]),
    ]

    @Test(arguments: eightBitValues) func eightBits(type: ElementType, values: [Int: Float]) {
        let floats = convert((0...255).map { UInt8($0) }, type, .f32, as: Float.self).numbers
        for (pattern, value) in values { #expect(floats[pattern] == value) }
        let nans = floats.indices.filter { floats[$0].isNaN }
        let expected: [Int] =
            switch type {
            case .f8E4M3: [0x7f, 0xff]
            case .f8E5M2: [0x7d, 0x7e, 0x7f, 0xfd, 0xfe, 0xff]
            case .f8E8M0: [0xff]
            default: [0x80]
            }
        #expect(nans == expected)
    }
}
