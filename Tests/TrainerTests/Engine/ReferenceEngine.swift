import Synchronization

@testable import Trainer

/// The readable twin of every engine: each operation as its formula says, in plain loops.
///
/// It computes in double precision, so that next to float32 its results count as exact, and so that central
/// differences prove its backward operations to many digits. Nothing in it is fast.
///
/// Letters as in ``Engine``: R rows, C channels, H heads of D channels, F hidden channels, V tokens.
final class ReferenceEngine: Engine {
    typealias Buffer = ReferenceBuffer
    typealias Indices = [Int32]

    func makeBuffer(count: Int) -> ReferenceBuffer { ReferenceBuffer(zeros(count)) }
    func prepare(attention: AttentionShape, rows: RowShape) {}
    func makeIndices(_ values: [Int32]) -> [Int32] { values }
    func slice(_ indices: [Int32], _ range: Range<Int>) -> [Int32] { Array(indices[range]) }

    func upload(_ values: Span<Float>, to buffer: ReferenceBuffer) {
        buffer.values = values.indices.map { Double(values[$0]) }
    }

    func download(_ buffer: ReferenceBuffer, to values: inout MutableSpan<Float>) {
        for (index, value) in buffer.values.enumerated() { values[index] = Float(value) }
    }
}

/// Float64 values; parts of one buffer share them.
struct ReferenceBuffer: EngineBuffer {
    private let storage: Storage
    private let range: Range<Int>

    init(_ values: [Double]) {
        storage = Storage(values)
        range = values.indices
    }

    private init(storage: Storage, range: Range<Int>) {
        self.storage = storage
        self.range = range
    }

    var count: Int { range.count }

    subscript(part: Range<Int>) -> ReferenceBuffer {
        precondition(part.lowerBound >= 0 && part.upperBound <= count)
        let start = range.lowerBound
        return ReferenceBuffer(
            storage: storage, range: start + part.lowerBound..<start + part.upperBound)
    }

    /// A copy of the values; setting it writes them all.
    var values: [Double] {
        get { storage.values.withLock { Array($0[range]) } }
        nonmutating set {
            precondition(newValue.count == count, "\(newValue.count) values do not fill \(count)")
            storage.values.withLock { $0.replaceSubrange(range, with: newValue) }
        }
    }

    private final class Storage: Sendable {
        let values: Mutex<[Double]>
        init(_ values: [Double]) { self.values = Mutex(values) }
    }
}

extension Stored<ReferenceBuffer> {
    /// A copy of the values; setting it writes them all.
    ///
    /// What is packed has tests of its own.
    var values: [Double] {
        get {
            precondition(precision == .f32)
            return words.values
        }
        nonmutating set {
            precondition(precision == .f32)
            words.values = newValue
        }
    }
}

/// `count` zeros.
func zeros(_ count: Int) -> [Double] { [Double](repeating: 0, count: count) }
