/// How the numbers of a quantised tensor follow from what is stored: of a tensor of values and a tensor of scales.
public enum Dequantization: Sendable, Hashable {
    /// Values of eight bits times the scale of their block; the last two axes are cut into blocks of so many rows and columns.
    ///
    /// Scales of type U8 are exponents (E8M0). Whole rows, whole matrices and single columns are blocks, too. Source: DeepSeek-V3 (arXiv 2412.19437), section 3.3.2,
    /// whose `weight_scale_inv` is multiplied.
    case blocks(rows: Int, columns: Int)
    /// Values of four bits (E2M1), two in a byte, the lower half first, 32 of which share an exponent (E8M0).
    ///
    /// (…, G, 16) bytes and (…, G) exponents make (…, 32·G) numbers. Source: OCP Microscaling Formats 1.0, section 5.3.
    case microscaled

    /// What it is called in a manifest.
    var name: String {
        switch self {
        case .blocks: "blocks"
        case .microscaled: "microscaled"
        }
    }

    /// What 16 patterns of E2M1 mean.
    static let halves: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]
    /// How many numbers share an exponent.
    static let group = 32

    /// The shape of the numbers; nil when values and scales do not fit together.
    func shape(values: TensorDescription, scales: TensorDescription) -> [Int]? {
        switch self {
        case .blocks(let rows, let columns):
            guard rows > 0, columns > 0, values.shape.count >= 2, values.type.bits == 8,
                values.type.isFloatingPoint, scales.type.isFloatingPoint || scales.type == .u8
            else { return nil }
            let matrix = values.shape.suffix(2)
            let grid = zip(matrix, [rows, columns]).map { ($0 + $1 - 1) / $1 }
            guard
                scales.shape == values.shape.dropLast(2) + grid || scales.shape.isEmpty && grid == [1, 1]
                    || scales.shape == [1] && grid == [1, 1]
            else { return nil }
            return values.shape
        case .microscaled:
            guard values.type == .u8, [.u8, .f8E8M0].contains(scales.type),
                values.shape.last == Self.group / 2,
                Array(values.shape.dropLast()) == scales.shape, let groups = scales.shape.last
            else { return nil }
            return scales.shape.dropLast() + [groups * Self.group]
        }
    }
}

extension TensorTree {
    /// The numbers that quantised values and their scales stand for, computed in float32 and rounded once.
    ///
    /// - Parameters:
    ///   - scales: the scales.
    ///   - scheme: how they belong together.
    ///   - type: the type of the numbers: F16, BF16, F32 or F64.
    /// - Returns: the numbers.
    /// - Throws: ``UserFacingError`` when values and scales do not fit together.
    public func dequantized(
        by scales: TensorTree, _ scheme: Dequantization, to type: ElementType
    ) throws(UserFacingError) -> TensorTree {
        guard let shape = scheme.shape(values: summary, scales: scales.summary),
            FloatConversion.isKnown(from: .f32, to: type)
        else { throw .cannotDequantize(summary, scales.summary) }
        return try .computed(.dequantized(scheme, type), of: [self, scales], type: type, shape: shape)
    }
}

extension TensorExpression {
    /// Computes some of the numbers, in float32; `start` is the place of the first.
    func dequantize(
        _ scheme: Dequantization, _ scales: TensorExpression, from start: Int,
        into numbers: inout MutableSpan<Float>
    ) throws(UserFacingError) {
        switch scheme {
        case .blocks(let rows, let columns):
            if numbers.isEmpty { return }
            try floats(start..<start + numbers.count, into: &numbers)
            let (height, width) = (shape[shape.count - 2], shape[shape.count - 1])
            let (down, across) = ((height + rows - 1) / rows, (width + columns - 1) / columns)
            /// Where the scales of a row begin.
            func firstScale(ofRow row: Int) -> Int { (row / height * down + row % height / rows) * across }
            let first = firstScale(ofRow: start / width)
            let last = firstScale(ofRow: (start + numbers.count - 1) / width) + across
            let factors = try scales.factors(first..<last)
            var index = 0
            while index < numbers.count {
                let (row, column) = ((start + index) / width, (start + index) % width)
                let end = min(numbers.count, index + min((column / columns + 1) * columns, width) - column)
                let factor = factors[firstScale(ofRow: row) + column / columns - first]
                for place in index..<end { numbers[place] *= factor }
                index = end
            }
        case .microscaled:
            let first = start / 2
            let last = (start + numbers.count + 1) / 2
            let values = try bytes(first..<last)
            let groups =
                start / Dequantization.group..<(start + numbers.count + Dequantization.group - 1)
                / Dequantization.group
            let exponents = try scales.bytes(groups)
            let powers = SmallFloat.table(.f8E8M0)
            for index in numbers.indices {
                let place = start + index
                let byte = values[place / 2 - first]
                let half = place.isMultiple(of: 2) ? byte & 0xF : byte >> 4
                let exponent = exponents[place / Dequantization.group - groups.lowerBound]
                numbers[index] = Dequantization.halves[Int(half)] * powers[Int(exponent)]
            }
        }
    }

    /// Some scales as numbers; bytes are exponents.
    private func factors(_ range: Range<Int>) throws(UserFacingError) -> [Float] {
        if type == .u8 {
            let powers = SmallFloat.table(.f8E8M0)
            return try bytes(range).map { powers[Int($0)] }
        }
        var factors = [Float](repeating: 0, count: range.count)
        var span = factors.mutableSpan
        try floats(range, into: &span)
        return factors
    }

    private func bytes(_ range: Range<Int>) throws(UserFacingError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: range.count)
        var span = bytes.mutableSpan
        var room = unsafe span.mutableBytes
        try read(range, into: &room)
        return bytes
    }
}

extension UserFacingError {
    fileprivate static func cannotDequantize(_ values: TensorDescription, _ scales: TensorDescription) -> Self
    {
        Self(.unsupported, "\(values) and its scales, \(scales), do not fit together")
    }
}
