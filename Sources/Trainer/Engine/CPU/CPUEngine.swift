internal import CKernels
internal import COpenBLAS
internal import Logging
private import Synchronization

/// The engine that runs on the machine's processors: OpenBLAS for matrix products, own kernels for the rest.
///
/// OpenBLAS computes on one thread; this engine splits every product into tiles of the output, whose sizes
/// depend on the shapes alone, and gives them to its own threads. So the results are the same bits for any
/// number of threads.
public final class CPUEngine: Engine {
    /// Float32 values in main memory.
    public typealias Buffer = CPUBuffer
    /// Numbers in main memory.
    public typealias Indices = ArraySlice<Int32>

    /// How many threads compute.
    public var threads: Int { pool.threads }
    /// The kernels that OpenBLAS runs, in its own words, such as `SkylakeX`.
    public let blasCore: String
    /// How many seconds each kind of work has taken so far.
    public var operationSeconds: [OperationKind: Double] { pool.times.seconds }
    let pool: ThreadPool
    /// Memory that the threads scribble on, grown to what was asked at most.
    private let scratch = Mutex<CPUBuffer?>(nil)

    /// An engine with `threads` threads.
    public init(threads: Int) throws(EngineError) {
        if let failure = unsafe cob_load() { throw .noBLAS(reason: unsafe String(cString: failure)) }
        blasCore = unsafe String(cString: cob_core())
        pool = try ThreadPool(threads: threads)
        let logger = Logger(label: "Trainer.CPUEngine")
        logger.debug("OpenBLAS runs its \(blasCore) kernels, on \(threads) threads of ours")
    }

    /// See ``Engine/makeBuffer(count:)``.
    public func makeBuffer(count: Int) throws(EngineError) -> CPUBuffer { try CPUBuffer(count: count) }

    /// See ``Engine/makeIndices(_:)``.
    public func makeIndices(_ values: [Int32]) -> ArraySlice<Int32> { values[...] }

    /// See ``Engine/slice(_:_:)``.
    public func slice(_ indices: ArraySlice<Int32>, _ range: Range<Int>) -> ArraySlice<Int32> {
        indices[indices.startIndex + range.lowerBound..<indices.startIndex + range.upperBound]
    }

    /// See ``Engine/upload(_:to:)``.
    public func upload(_ values: Span<Float>, to buffer: CPUBuffer) {
        precondition(values.count == buffer.count)
        unsafe values.withUnsafeBufferPointer { values in
            guard let base = values.baseAddress else { return }
            unsafe buffer.pointer.update(from: base, count: values.count)
        }
    }

    /// See ``Engine/download(_:to:)``.
    public func download(_ buffer: CPUBuffer, to values: inout MutableSpan<Float>) {
        precondition(values.count == buffer.count)
        unsafe values.withUnsafeMutableBufferPointer { values in
            guard let base = values.baseAddress else { return }
            unsafe base.update(from: buffer.pointer, count: buffer.count)
        }
    }

    /// See ``Engine/prepare(attention:rows:)``.
    public func prepare(attention: AttentionShape, rows: RowShape) throws(EngineError) {
        var kernels = ck_attention(attention)
        let count = unsafe max(
            threads * max(ck_attention_scratch(&kernels), Self.tileMemory),
            Self.normBlocks(rows.rows) * rows.columns)
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
