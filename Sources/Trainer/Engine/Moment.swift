/// How AdamW's moments are kept between steps; a step itself computes in float32.
public enum MomentPrecision: String, Codable, CaseIterable, Sendable {
    /// Float32: eight bytes a parameter for both moments.
    case f32
    /// Bfloat16, rounded by chance: four bytes a parameter.
    case bf16
    /// Eight bits in blocks of 256 with a scale each, rounded by chance: two bytes a parameter.
    ///
    /// After Dettmers et al., *8-bit Optimizers via Block-wise Quantization*, section 2,
    /// <https://arxiv.org/abs/2110.02861>, with powers in place of their tables: a code is the square root of the
    /// first moment's share of its block's largest, and the fourth root of the second moment's.
    case int8 = "8bit"

    /// How many values a 32-bit word holds.
    var valuesPerWord: Int {
        switch self {
        case .f32: 1
        case .bf16: 2
        case .int8: 4
        }
    }
}

/// One of AdamW's two moments of a range of parameters.
public struct Moment<Buffer: EngineBuffer> {
    /// How many values share a scale; ranges begin at multiples of it.
    public static var block: Int { 256 }

    /// How the values are kept.
    public let precision: MomentPrecision
    /// The values, as many to a 32-bit word as the precision says.
    public let words: Buffer
    /// A scale for each block of eight-bit values; empty otherwise.
    public let scales: Buffer
    /// How many values there are.
    public let count: Int
    /// The first value's place among all of the model's.
    public let start: Int

    private init(precision: MomentPrecision, words: Buffer, scales: Buffer, count: Int, start: Int) {
        self.precision = precision
        self.words = words
        self.scales = scales
        self.count = count
        self.start = start
    }

    /// Moments in float32.
    public init(values: Buffer) {
        self.init(precision: .f32, words: values, scales: values[0..<0], count: values.count, start: 0)
    }

    /// Moments of `count` parameters, all zero.
    ///
    /// - Throws: ``EngineError`` when there is no memory.
    public init<Device: Engine>(
        count: Int, precision: MomentPrecision, on engine: Device
    ) throws(EngineError) where Device.Buffer == Buffer {
        let perWord = precision.valuesPerWord
        self.init(
            precision: precision, words: try engine.makeBuffer(count: (count + perWord - 1) / perWord),
            scales: try engine.makeBuffer(
                count: precision == .int8 ? (count + Self.block - 1) / Self.block : 0),
            count: count, start: 0)
    }

    /// The moments of a part of the parameters, which begins at a block's start.
    public subscript(range: Range<Int>) -> Moment {
        precondition(range.lowerBound % Self.block == 0, "\(range) does not begin at a block")
        let perWord = precision.valuesPerWord
        let blocks = range.lowerBound / Self.block..<(range.upperBound + Self.block - 1) / Self.block
        return Moment(
            precision: precision,
            words: words[range.lowerBound / perWord..<(range.upperBound + perWord - 1) / perWord],
            scales: precision == .int8 ? scales[blocks] : scales, count: range.count,
            start: start + range.lowerBound)
    }
}
