public import Formats

/// How values are kept between operations, all of which compute in float32.
public enum Precision: Sendable, Equatable {
    /// Float32.
    case f32
    /// Bfloat16, two values to a 32-bit word.
    case bf16
    /// Float16, two values to a 32-bit word.
    case f16
    /// Eight bits in blocks of 256 values with a scale each: AdamW's moments only.
    case int8
    /// Whole numbers of 32 bits: tokens, positions, experts.
    case int32

    /// How many eight-bit values share a scale; parts of them begin at multiples of it.
    static let block = 256

    /// How many values a 32-bit word holds.
    var valuesPerWord: Int {
        switch self {
        case .f32, .int32: 1
        case .bf16, .f16: 2
        case .int8: 4
        }
    }
}

/// Where values lie in a buffer of 32-bit words, and how they are kept there.
public struct Region: Sendable, Equatable {
    /// How the values are kept.
    public let precision: Precision
    /// The first word.
    public let start: Int
    /// How many values there are.
    public let count: Int

    /// `count` values from the word `start` on.
    public init(_ precision: Precision, start: Int, count: Int) {
        self.precision = precision
        self.start = start
        self.count = count
    }

    /// No values.
    static let empty = Region(.f32, start: 0, count: 0)

    /// The words that hold the values.
    public var words: Range<Int> {
        start..<start + (count + precision.valuesPerWord - 1) / precision.valuesPerWord
    }

    /// A part of the values, which begins with a word.
    public subscript(range: Range<Int>) -> Region {
        precondition(range.lowerBound % precision.valuesPerWord == 0, "\(range) does not begin with a word")
        return Region(
            precision, start: start + range.lowerBound / precision.valuesPerWord, count: range.count)
    }
}

/// Values on a device: what every operation of an ``Engine`` reads and writes.
public struct Tensor<Buffer: EngineBuffer> {
    /// How the values are kept.
    public let precision: Precision
    /// The values, as many to a 32-bit word as the precision says.
    public let storage: Buffer
    /// A scale for each block of eight-bit values; empty otherwise.
    public let scales: Buffer
    /// How many values there are.
    public let count: Int
    /// The first value's place in what this is a part of.
    public let start: Int

    private init(precision: Precision, storage: Buffer, scales: Buffer, count: Int, start: Int) {
        self.precision = precision
        self.storage = storage
        self.scales = scales
        self.count = count
        self.start = start
    }

    /// A whole buffer as float32.
    public init(_ storage: Buffer) {
        self.init(
            precision: .f32, storage: storage, scales: storage[0..<0], count: storage.count, start: 0)
    }

    /// The values at `region` of a buffer of words.
    public init(_ region: Region, of storage: Buffer) {
        precondition(region.precision != .int8, "values in eight bits have scales beside them")
        self.init(
            precision: region.precision, storage: storage[region.words], scales: storage[0..<0],
            count: region.count, start: 0)
    }

    /// `count` values, all zero.
    ///
    /// - Throws: ``UserFacingError`` when there is no memory.
    public init<Device: Engine>(
        count: Int, precision: Precision, on engine: Device
    ) throws(UserFacingError) where Device.Buffer == Buffer {
        let region = Region(precision, start: 0, count: count)
        self.init(
            precision: precision, storage: try engine.makeBuffer(count: region.words.count),
            scales: try engine.makeBuffer(
                count: precision == .int8 ? (count + Precision.block - 1) / Precision.block : 0),
            count: count, start: 0)
    }

    /// A part of the values, which begins with a word, and with a block where the values are in eight bits.
    public subscript(range: Range<Int>) -> Tensor {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= count, "\(range) is not within 0..<\(count)")
        let words = Region(precision, start: 0, count: count)[range].words
        guard precision == .int8 else {
            return Tensor(
                precision: precision, storage: storage[words], scales: scales, count: range.count,
                start: start + range.lowerBound)
        }
        precondition(range.lowerBound % Precision.block == 0, "\(range) does not begin at a block")
        let blocks =
            range.lowerBound / Precision.block..<(range.upperBound + Precision.block - 1) / Precision.block
        return Tensor(
            precision: precision, storage: storage[words], scales: scales[blocks], count: range.count,
            start: start + range.lowerBound)
    }
}
