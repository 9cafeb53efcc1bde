internal import CKernels

/// Conversions between floating-point types, by way of float32.
///
/// Narrowing rounds to nearest, ties to even, once: a float64 is rounded to odd on the way to a 16-bit type.
public enum FloatConversion {
    /// Whether there is a conversion between the two.
    public static func isKnown(from: ElementType, to: ElementType) -> Bool {
        from == to || (from.isFloatingPoint && [.f16, .bf16, .f32, .f64].contains(to))
    }

    /// Converts as many numbers as `source` holds.
    ///
    /// - Parameters:
    ///   - source: whole elements of type `from`.
    ///   - from: the type there is; floating-point.
    ///   - destination: room for as many elements of type `to`.
    ///   - to: the type wanted: F16, BF16, F32 or F64.
    /// - Returns: how many finite numbers became infinite.
    public static func convert(
        _ source: RawSpan, _ from: ElementType, to destination: inout MutableRawSpan, _ to: ElementType
    ) -> Int {
        guard let width = from.byteSize, let target = to.byteSize, isKnown(from: from, to: to) else {
            preconditionFailure("there is no conversion from \(from) to \(to)")
        }
        let count = source.byteCount / width
        precondition(destination.byteCount == count * target, "the destination holds as many elements")
        var overflows = 0
        var numbers = [Float](repeating: 0, count: min(count, block))
        var first = 0
        while first < count {
            let length = min(block, count - first)
            let part = source.extracting(first * width..<(first + length) * width)
            var room = destination._mutatingExtracting(first * target..<(first + length) * target)
            if from == .f64 && to == .f32 {
                overflows += narrow(part, length, &room)
            } else if from == .f64 && to == .f64 {
                copy(part, &room)
            } else {
                widen(part, from, length, &numbers)
                overflows += store(numbers, length, &room, to)
            }
            first += length
        }
        return overflows
    }

    /// How many numbers are converted at a time, so that the float32 between stay in the first-level cache.
    private static let block = 4096

    /// float32 from any type; from float64 rounded to odd.
    private static func widen(_ source: RawSpan, _ type: ElementType, _ count: Int, _ numbers: inout [Float])
    {
        unsafe source.withUnsafeBytes { bytes in
            unsafe numbers.withUnsafeMutableBufferPointer { target in
                guard let base = bytes.baseAddress, let start = target.baseAddress else { return }
                switch type {
                case .bf16: unsafe ck_bf16_to_f32(start, base.assumingMemoryBound(to: UInt16.self), count)
                case .f16: unsafe ck_f16_to_f32(start, base.assumingMemoryBound(to: UInt16.self), count)
                case .f64: unsafe ck_f64_to_f32_odd(start, base.assumingMemoryBound(to: Double.self), count)
                case .f32: unsafe UnsafeMutableRawPointer(start).copyMemory(from: base, byteCount: count * 4)
                default:
                    let table = SmallFloat.table(type)
                    for index in 0..<count { unsafe target[index] = table[Int(bytes[index])] }
                }
            }
        }
    }

    /// Any type from float32.
    private static func store(
        _ numbers: [Float], _ count: Int, _ destination: inout MutableRawSpan, _ type: ElementType
    ) -> Int {
        unsafe destination.withUnsafeMutableBytes { bytes in
            unsafe numbers.withUnsafeBufferPointer { source in
                guard let base = bytes.baseAddress, let start = source.baseAddress else { return 0 }
                switch type {
                case .bf16:
                    unsafe ck_f32_to_bf16(base.assumingMemoryBound(to: UInt16.self), start, count)
                    return unsafe ck_count_bf16_overflows(start, count)
                case .f16:
                    return unsafe ck_f32_to_f16(base.assumingMemoryBound(to: UInt16.self), start, count)
                case .f64:
                    for index in 0..<count {
                        unsafe bytes.storeBytes(
                            of: Double(source[index]), toByteOffset: index * 8, as: Double.self)
                    }
                    return 0
                default:
                    unsafe base.copyMemory(from: start, byteCount: count * 4)
                    return 0
                }
            }
        }
    }

    /// float32 from float64.
    private static func narrow(_ source: RawSpan, _ count: Int, _ destination: inout MutableRawSpan) -> Int {
        unsafe destination.withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes { bytes in
                var overflows = 0
                for index in 0..<count {
                    let number = unsafe bytes.loadUnaligned(fromByteOffset: index * 8, as: Double.self)
                    let narrow = Float(number)
                    if narrow.isInfinite && number.isFinite { overflows += 1 }
                    unsafe target.storeBytes(of: narrow, toByteOffset: index * 4, as: Float.self)
                }
                return overflows
            }
        }
    }

    private static func copy(_ source: RawSpan, _ destination: inout MutableRawSpan) {
        unsafe destination.withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
        }
    }
}
