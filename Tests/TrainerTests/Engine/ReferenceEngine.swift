import Models
import Synchronization

@testable import Trainer

/// The readable twin of every engine: each operation as its formula says, in plain loops.
///
/// It computes in double precision, so that next to float32 its results count as exact, and so that central
/// differences prove its backward operations to many digits. Nothing in it is fast.
///
/// Letters as in ``Engine``: R rows, C channels, H heads of D channels, F hidden channels, V tokens, E experts of
/// which K are chosen, S slots.
final class ReferenceEngine: Engine {
    typealias Buffer = ReferenceBuffer
    typealias Scalar = ReferenceScalar

    func makeBuffer(count: Int) -> ReferenceBuffer { ReferenceBuffer(zeros(count)) }
    func makeScalar() -> ReferenceScalar { ReferenceScalar() }
    func prepare(attention: [AttentionShape], rows: RowShape) {}
    func set(_ scalar: ReferenceScalar, to value: Double) { scalar.value = value }
    func read(_ scalar: ReferenceScalar) -> Double { scalar.value }

    func upload(_ values: Span<Float>, to tensor: ReferenceTensor) {
        tensor.values = values.indices.map { Double(values[$0]) }
    }

    func upload(_ values: Span<Int32>, to tensor: ReferenceTensor) {
        precondition(tensor.precision == .int32)
        tensor.values = values.indices.map { Double(values[$0]) }
    }

    func download(_ tensor: ReferenceTensor, to values: inout MutableSpan<Float>) {
        for (index, value) in tensor.values.enumerated() { values[index] = Float(value) }
    }
}

typealias ReferenceTensor = Tensor<ReferenceBuffer>

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

/// A number that operations share.
final class ReferenceScalar: Sendable {
    private let number = Mutex(0.0)

    var value: Double {
        get { number.withLock { $0 } }
        set { number.withLock { $0 = newValue } }
    }
}

extension Tensor<ReferenceBuffer> {
    /// Values of the twin.
    init(_ values: [Double]) { self.init(ReferenceBuffer(values)) }

    /// Whole numbers of the twin, which are float64 values, too.
    init(_ values: [Int32]) {
        self.init(
            Region(.int32, start: 0, count: values.count), of: ReferenceBuffer(values.map(Double.init)))
    }

    /// `count` zeros.
    static func zeros(_ count: Int) -> ReferenceTensor {
        ReferenceTensor([Double](repeating: 0, count: count))
    }

    /// A copy of the values; setting it writes them all.
    ///
    /// What is packed has tests of its own.
    var values: [Double] {
        get {
            precondition(precision == .f32 || precision == .int32)
            return storage.values
        }
        nonmutating set {
            precondition(precision == .f32 || precision == .int32)
            storage.values = newValue
        }
    }

    /// A copy of whole numbers; setting it writes them all.
    var integers: [Int] {
        get {
            precondition(precision == .int32)
            return storage.values.map { Int($0) }
        }
        nonmutating set {
            precondition(precision == .int32)
            storage.values = newValue.map(Double.init)
        }
    }
}

/// `count` zeros.
func zeros(_ count: Int) -> [Double] { [Double](repeating: 0, count: count) }
