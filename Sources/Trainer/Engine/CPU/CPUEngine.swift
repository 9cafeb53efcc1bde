public import Formats
internal import CKernels
internal import COpenBLAS
internal import Logging
internal import Synchronization

/// The engine that runs on the machine's processors: OpenBLAS for matrix products, own kernels for the rest.
///
/// OpenBLAS computes on one thread; this engine splits every product into tiles of the output, whose sizes
/// depend on the shapes alone, and gives them to its own threads. So the results are the same bits for any
/// number of threads.
public final class CPUEngine: Engine {
    /// Words in main memory.
    public typealias Buffer = CPUBuffer
    /// A number in main memory.
    public typealias Scalar = CPUScalar

    /// How many threads compute.
    public var threads: Int { pool.threads }
    /// The kernels that OpenBLAS runs, in its own words, such as `SkylakeX`.
    public let blasCore: String
    /// How many seconds each kind of work has taken so far.
    public var operationSeconds: [OperationKind: Double] { pool.times.seconds }
    /// How many rows the experts' forward products have multiplied so far: R · K for each product.
    var rowsMultiplied: Int { expertRows.load(ordering: .relaxed) }
    let expertRows = Atomic(0)
    let pool: ThreadPool
    /// Memory that the threads scribble on, grown to what was asked at most.
    private let scratch = Mutex<CPUBuffer?>(nil)

    /// An engine with `threads` threads.
    public init(threads: Int) throws(UserFacingError) {
        if let failure = unsafe cob_load() { throw .noBLAS(reason: unsafe String(cString: failure)) }
        blasCore = unsafe String(cString: cob_core())
        pool = try ThreadPool(threads: threads)
        let logger = Logger(label: "Trainer.CPUEngine")
        logger.debug("OpenBLAS runs its \(blasCore) kernels, on \(threads) threads of ours")
    }

    /// See ``Engine/makeBuffer(count:)``.
    public func makeBuffer(count: Int) throws(UserFacingError) -> CPUBuffer { try CPUBuffer(count: count) }

    /// See ``Engine/makeScalar()``.
    public func makeScalar() -> CPUScalar { CPUScalar() }

    /// See ``Engine/set(_:to:)``.
    public func set(_ scalar: CPUScalar, to value: Double) { scalar.value = value }

    /// See ``Engine/read(_:)``.
    public func read(_ scalar: CPUScalar) -> Double { scalar.value }

    /// See ``Engine/upload(_:to:)``.
    public func upload(_ values: Span<Float>, to tensor: Tensor<CPUBuffer>) {
        precondition(values.count == tensor.count)
        unsafe values.withUnsafeBufferPointer { values in
            guard let base = values.baseAddress else { return }
            unsafe tensor.floats.update(from: base, count: values.count)
        }
    }

    /// See ``Engine/upload(_:to:)``.
    public func upload(_ values: Span<Int32>, to tensor: Tensor<CPUBuffer>) {
        precondition(values.count == tensor.count)
        unsafe values.withUnsafeBufferPointer { values in
            guard let base = values.baseAddress else { return }
            unsafe tensor.integers.update(from: base, count: values.count)
        }
    }

    /// See ``Engine/download(_:to:)``.
    public func download(_ tensor: Tensor<CPUBuffer>, to values: inout MutableSpan<Float>) {
        precondition(values.count == tensor.count)
        unsafe values.withUnsafeMutableBufferPointer { values in
            guard let base = values.baseAddress else { return }
            unsafe tensor.unpack(0..<tensor.count, into: base)
        }
    }

    /// See ``Engine/prepare(attention:rows:)``.
    public func prepare(attention: [AttentionShape], rows: RowShape) throws(UserFacingError) {
        let forAttention = attention.map(attentionScratch).max() ?? 0
        let count = max(
            forAttention, threads * Self.tileMemory, 2 * Self.normBlocks(rows.rows) * rows.columns)
        if let held = scratch.withLock({ $0 }), held.count >= count { return }
        let grown = try CPUBuffer(count: count)
        scratch.withLock { $0 = grown }
    }

    /// `count` values that each operation may scribble on until it returns.
    func scratch(count: Int) -> CPUBuffer {
        scratch.withLock { held in
            if let held, held.count >= count { return held[0..<count] }
            guard let grown = try? CPUBuffer(count: count) else {
                preconditionFailure("the engine was not prepared for \(count) values of scratch memory")
            }
            held = grown
            return grown
        }
    }
}

/// A number in double precision in main memory.
public final class CPUScalar: Sendable {
    private let bits = Atomic<UInt64>(0)

    var value: Double {
        get { Double(bitPattern: bits.load(ordering: .relaxed)) }
        set { bits.store(newValue.bitPattern, ordering: .relaxed) }
    }
}
